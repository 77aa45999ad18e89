"""`python -m benchmarks.explorer`: whether the explorer stays fast on a year of results.

Makes two stores by formula, a small one and one of a year, and looks at both: with the real
explorer in a headless Chromium, and with the commands that answer from the same rows. Everything
runs on this machine, the browser too: a page's time is what somebody waits who opens it here.

Exit status: 0 all limits met, 1 one is not, 2 wrong usage or no browser.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from cyclopts import App
from rich.console import Console
from rich.table import Table
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks import year
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.terminal import program
from odllm_app.pages import PAGES
from odllm_controller.analysis.queries import results
from odllm_controller.cli.commands import advise, compare
from tests.app import served
from tests.app.screenshot import CHARTS

MOST_PAGE_S = 2.0
MOST_ANSWER_S = 1.0
MOST_GROWTH = 1.5

_PATIENCE_S = 120
_LOOK_EVERY_S = 0.02
_TABLE = '[data-testid="stDataFrame"] canvas'
_ENDED = '[data-test-script-state="notRunning"] h1'
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Size:
    """How much is tried.

    Attributes:
        few: Repeats of the small store.
        many: Repeats of the large one.
        devices: Devices of both.
        visits: How often each thing is timed; its median counts.
    """

    few: int
    many: int
    devices: int
    visits: int


@dataclass(frozen=True, slots=True)
class Timed:
    """How long something took on both stores.

    Attributes:
        what: Such as a page.
        few_s: On the small store, the median of all visits.
        many_s: On the large one.
        most_s: The limit on the large one, or `None`.
        most_growth: The limit of their ratio, or `None`.
    """

    what: str
    few_s: float
    many_s: float
    most_s: float | None = None
    most_growth: float | None = None

    @property
    def growth(self) -> float:
        """How many times as long it took on the large store."""
        return self.many_s / self.few_s

    @property
    def wanted(self) -> str:
        """Both limits in words, or `""`."""
        most = [f"at most {self.most_s:g}"] if self.most_s else []
        growth = [f"ratio at most {self.most_growth:g}"] if self.most_growth else []
        return ", ".join((*most, *growth))

    @property
    def met(self) -> bool:
        """Whether both limits are met."""
        return (self.most_s is None or self.many_s <= self.most_s) and (
            self.most_growth is None or self.growth <= self.most_growth
        )


Seconds = Mapping[str, float]
"""By what took them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes both stores, looks at them, prints a table, and says which limits are not met."""
    size = _size(arguments)
    if missing := served.missing_browser():
        print(missing, file=sys.stderr)
        return 2
    out = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        few = _looked_at(out, Path(folder, "few.duckdb"), size.few, size)
        many = _looked_at(out, Path(folder, "many.duckdb"), size.many, size)
    timed = tuple(_limited(what, few[what], many[what]) for what in many)
    _print(out, size, timed)
    unmet = [each.what for each in timed if not each.met]
    for what in unmet:
        out.print(f"not met: {what}", style="bold red")
    return int(bool(unmet))


def _looked_at(out: Console, path: Path, repeats: int, size: Size) -> Seconds:
    """Makes a store and times everything on it."""
    start = monotonic_ns()
    year.make(path, repeats, size.devices)
    out.print(
        f"{repeats:,} repeats on {size.devices} devices, {path.stat().st_size / _MB:,.0f} MB: "
        f"made in {seconds_since(start):.0f} s"
    )
    commands = {what: _median_s(act, size.visits) for what, act in _commands(path).items()}
    return {**commands, **_pages_s(out, path, size.visits)}


def _commands(path: Path) -> Mapping[str, Callable[[], object]]:
    """What answers without the explorer, once everything that it needs is imported."""
    store = ["--store", str(path)]
    asked = ["--device", "laptop-0", "--max-memory", "8GB", "--min-decode", "5"]
    return {
        "all results as rows": lambda: results.load(path),
        "odllm advise": lambda: _silent(advise.app, [*asked, *store]),
        "odllm compare": lambda: _silent(compare.app, ["laptop-0", "laptop-2", *store]),
    }


def _silent(app: App, arguments: Sequence[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        program.run(app, arguments)


def _median_s(act: Callable[[], object], visits: int) -> float:
    act()
    return statistics.median(_s(act) for _ in range(visits))


def _s(act: Callable[[], object]) -> float:
    start = monotonic_ns()
    act()
    return seconds_since(start)


def _pages_s(out: Console, path: Path, visits: int) -> Seconds:
    """How long the first page takes of an explorer just started, and then each page."""
    first, later = [], []
    for _ in range(visits):
        with _explorer(path) as (driver, address):
            first.append(_page_s(driver, address))
            later.append({page.title: _page_s(driver, f"{address}/{page.path}") for page in PAGES})
            memory_bytes = _served_bytes()
    out.print(f"the explorer's memory once all pages were open: {memory_bytes / _MB:,.0f} MB")
    return {
        "the first page": statistics.median(first),
        **{f"page {name}": statistics.median(each[name] for each in later) for name in later[0]},
    }


@contextlib.contextmanager
def _explorer(path: Path) -> Iterator[tuple[webdriver.Chrome, str]]:
    with (
        tempfile.TemporaryDirectory() as profile,
        served.browser(Path(profile)) as driver,
        served.explorer(path) as address,
    ):
        yield driver, address


def _page_s(driver: webdriver.Chrome, address: str) -> float:
    """The seconds until a page shows its first chart or table, or has none and is done."""
    start = monotonic_ns()
    driver.get(address)
    WebDriverWait(driver, _PATIENCE_S, _LOOK_EVERY_S).until(
        lambda seen: any(
            seen.find_elements(By.CSS_SELECTOR, each) for each in (CHARTS, _TABLE, _ENDED)
        )
    )
    return seconds_since(start)


def _served_bytes() -> int:
    """The resident set of the explorer that this process serves."""
    (server,) = (
        each for each in psutil.Process().children() if "odllm_app.shell.entry" in each.cmdline()
    )
    return int(server.memory_info().rss)


def _limited(what: str, few_s: float, many_s: float) -> Timed:
    if "page" in what:
        return Timed(what, few_s, many_s, MOST_PAGE_S, MOST_GROWTH)
    return Timed(what, few_s, many_s, MOST_ANSWER_S if what.startswith("odllm") else None)


def _print(out: Console, size: Size, timed: Sequence[Timed]) -> None:
    table = Table(title=f"Median of {size.visits}, in s", title_justify="left", box=None)
    table.add_column("")
    for heading in (f"{size.few:,}", f"{size.many:,}", "ratio", "wanted"):
        table.add_column(heading, justify="right")
    for each in timed:
        table.add_row(
            each.what,
            f"{each.few_s:.2f}",
            f"{each.many_s:.2f}",
            f"{each.growth:.2f}",
            each.wanted,
        )
    out.print(table)


def _size(arguments: Sequence[str] | None) -> Size:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explorer",
        description="Tells whether the explorer stays fast on a year of results.",
        epilog="example: python -m benchmarks.explorer --many 100000 --visits 1",
    )
    parser.add_argument("--few", type=int, default=10_000, help="repeats, small store (10000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="repeats, large one (1000000)")
    parser.add_argument("--devices", type=int, default=200, help="of both (200)")
    parser.add_argument("--visits", type=int, default=3, help="of each page (3)")
    known = parser.parse_args(arguments)
    return Size(known.few, known.many, known.devices, known.visits)


if __name__ == "__main__":
    sys.exit(main())
