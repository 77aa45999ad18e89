"""The explorer: loads the store, shows what was chosen, and hands both to the page.

Started by `odllm explore`, which runs `streamlit run app/shell/entry/script.py -- --store FILE`.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import streamlit as st

from odllm_agent.errors import StoreError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.terminal.program import STORE
from odllm_app.drawing.symbols import legend, legend_of_origins, symbols
from odllm_app.pages import PAGES
from odllm_app.shell.progress import show_progress
from odllm_app.view import filters
from odllm_app.view.empty import show_nothing_stored, show_unreadable
from odllm_app.view.loading import Stamp, load, stamp_of, watch
from odllm_app.view.view import Page, View
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.origins import all_origins

_LOOK_EVERY_S = 3
_MOST_MODELS = 20

# Draws what is below the title of a page.
Body: TypeAlias = Callable[[Page], None]


def main(arguments: Sequence[str]) -> None:
    """Draws the page that the address names, once.

    Args:
        arguments: `--store` and the file, or nothing for the store where none is named.
    """
    _, store = arguments or ("--store", STORE)
    path = typed_path(store)
    st.set_page_config(page_title="ODLLM explorer", page_icon="📊", layout="wide")
    st.html("<style>.stMainBlockContainer {padding-top: 2.5rem}</style>")
    stamp = stamp_of(path)
    _navigate(_body(path, stamp))
    watch(path, stamp, _LOOK_EVERY_S)


def _body(path: Path, stamp: Stamp) -> Body:
    """What pages show of the store. The sidebar is drawn here, so that it is that of all pages."""
    try:
        found, run = load(path, stamp)
    except StoreError as error:
        return functools.partial(_unreadable, error)
    if found.empty:
        return lambda _: show_nothing_stored(path)
    selection = filters.choose(found)
    of_models = symbols(list(found["model"].unique()))
    view = View(path, stamp, found, selection, selection.rows(), run, of_models)
    _show_legend(view)
    return functools.partial(_view, view)


def _navigate(body: Body) -> None:
    """Shows the navigation, and draws the page that is open."""
    entries = [
        st.Page(functools.partial(_page, page, body), title=page.title, url_path=page.path)
        for page in PAGES
    ]
    # What is shown without a path is not found under one: so it is a page of its own.
    home = st.Page(
        functools.partial(_page, PAGES[0], body),
        title=PAGES[0].title,
        url_path="home",
        default=True,
        visibility="hidden",
    )
    st.navigation([home, *entries]).run()


def _page(page: Page, body: Body) -> None:
    st.title(page.title)
    st.caption(page.question)
    body(page)


def _unreadable(error: StoreError, _: Page) -> None:
    show_unreadable(error)


def _view(view: View, page: Page) -> None:
    for note in results.notes(view.chosen):
        st.info(note)
    if view.run:
        show_progress(view, view.run)
    page.show(view)


def _show_legend(view: View) -> None:
    measured = view.measured
    models = set(measured["model"])
    drawn = [symbol for symbol in view.symbols if symbol.model in models]
    if not drawn:
        return
    with st.sidebar:
        st.header("Models")
        st.html(legend(drawn[:_MOST_MODELS]))
        if len(drawn) > _MOST_MODELS:
            st.caption(f"and {len(drawn) - _MOST_MODELS} more: point at a mark to see its model")
        st.header("Marks")
        st.html(legend_of_origins(all_origins(measured)))
