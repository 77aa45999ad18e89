"""The frame of all pages: store, selection and address, and what may be wrong with them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from odllm_agent.contract import Failure, ModelRequest, Source
from odllm_agent.errors import StoreError
from odllm_app.pages import PAGES
from odllm_controller.store import Store
from tests import stores, support
from tests.app.drawn import charts, drawn, page, table, texts

PATHS = [each.path for each in PAGES]
NONSENSE = {
    "device": "' OR 1=1 --",
    "model": "<script>",
    "workload": "../../etc/passwd",
    "engine": "x" * 10_000,
    "group": "",
    "against": "\x00",
    "base": "",
    "metric": "none",
    "trial": "'; DROP TABLE trials",
    "trace": "round -1",
    "run": "0",
    "unheard": "of",
}
HOSTILE = (
    """<script>alert("1")</script> **bold** [l](javascript:alert(1))"""
    """ ![i](http://evil.example/i.png) 'quotes' $x$ :red[y] """
)


def nothing_measured(path: Path) -> None:
    store = stores.measured(path, support.failed_round())
    store.add_plan("run-1", [support.trial(), support.trial(threads=8)], 1)
    store.add_skips("run-1", [support.skip()])
    request = ModelRequest("mine", Source.FILE, "/gone.gguf")
    failure = Failure("ModelMissing", "no file at /gone.gguf", "put it there")
    store.add_failure("run-1", "id-of-laptop", request, failure)


def only_unprepared(path: Path) -> None:
    request = ModelRequest("mine", Source.FILE, "/gone.gguf")
    failure = Failure("ModelMissing", "no file at /gone.gguf", "put it there")
    stores.begun(path).add_failure("run-1", "id-of-laptop", request, failure)


def one_trial(path: Path) -> None:
    stores.measured(path, support.round_result())


def hostile_names(path: Path) -> None:
    name = HOSTILE + "x" * 10_000
    model = support.model_file(HOSTILE)
    stores.begun(path, support.device(name, id="d1", cpu=HOSTILE)).add_round(
        "run-1", support.round_result(support.trial(model, "d1"))
    )


def test_no_store_yet(path: Path) -> None:
    test = page()
    assert f"there is no store at {path}" in texts(test)
    assert "odllm run" in texts(test)


def test_a_file_that_is_no_store(path: Path) -> None:
    path.write_text("not a database")
    test = page()
    assert "is not a DuckDB file" in texts(test)
    assert not charts(test)


def test_a_store_that_is_half_written(path: Path) -> None:
    one_trial(path)
    path.write_bytes(path.read_bytes()[:8192])
    assert "cannot be used" in texts(page())


def test_a_store_of_a_newer_schema(path: Path) -> None:
    one_trial(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_versions (version, applied_at) VALUES (999, now())")
    told = texts(page())
    assert "999" in told


def test_a_store_that_stays_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_trial(path)

    def locked(_: Path) -> None:
        raise StoreError("the store is held by PID 7 (python3)", "Wait for it or end it.")

    monkeypatch.setattr("odllm_controller.analysis.queries.results.load", locked)
    told = texts(page())
    assert "held by PID 7 (python3)" in told
    assert "Wait for it" in told


def test_an_empty_store_says_how_to_fill_it(path: Path) -> None:
    Store.open(path)
    test = page()
    assert "Nothing is stored yet" in texts(test)
    assert "odllm run" in test.code[0].value


@pytest.mark.parametrize("made", [nothing_measured, only_unprepared])
def test_every_page_says_something_where_nothing_was_measured(
    path: Path, made: Callable[[Path], None]
) -> None:
    made(path)
    for place in PATHS:
        test = page(place)
        assert test.title[0].value
        assert texts(test)


def test_what_failed_and_what_is_planned_is_counted(path: Path) -> None:
    nothing_measured(path)
    told = texts(page("runs"))
    assert "4 trials: 2 failed, 1 skipped, 1 planned" in told


def test_names_are_never_read_as_markup(path: Path) -> None:
    hostile_names(path)
    for place in PATHS:
        test = page(place)
        told = [
            str(each.value)
            for kind in (test.markdown, test.caption, test.info, test.error)
            for each in kind
        ]
        for markup in ("**bold**", "![i](", "[l](", "<script>", "$x$"):
            assert not [text for text in told if markup in text], (place, markup)
        assert not [text for text in told if len(text) > 2000]


@pytest.mark.parametrize("place", PATHS)
def test_nonsense_in_the_address_shows_what_there_is(showcased: Path, place: str) -> None:
    assert charts(page(place, **NONSENSE))


def test_a_filter_narrows_charts_and_table(showcased: Path) -> None:
    test = page("trade-offs", device="laptop")
    assert set(table(test, "Status", "Model")["Model"]) == {"qwen-0.5B", "qwen-3B", "qwen-7B"}
    test = drawn(test.multiselect(key="model").set_value(["qwen-3B"]).run())
    assert set(table(test, "Status", "Model")["Model"]) == {"qwen-3B"}


@pytest.mark.parametrize("place", PATHS)
def test_an_address_restores_the_selection_and_nothing_is_loaded_from_elsewhere(
    showcased: Path, place: str
) -> None:
    test = page(place, device="slice-1 (virtual)", model="qwen-3B")
    assert test.multiselect(key="device").value == ["slice-1 (virtual)"]
    assert test.multiselect(key="model").value == ["qwen-3B"]
    assert test.query_params["model"] == "qwen-3B"
    for spec in charts(test):
        spec.pop("$schema", None)
        assert "http" not in json.dumps(spec)


def test_with_many_devices_only_the_first_is_chosen_at_the_start(path: Path) -> None:
    names = [f"laptop-{n}" for n in range(7)]
    store = stores.begun(path, *map(support.device, names))
    store.add_results(
        "run-1",
        [support.round_result(support.trial(device_id=f"id-of-{name}")) for name in names],
    )
    test = page("trade-offs")
    assert test.multiselect(key="device").value == ["laptop-0"]
    assert len(table(test, "Status", "Model")) == 1


def test_a_store_that_is_replaced_is_shown_anew(path: Path, tmp_path: Path) -> None:
    one_trial(path)
    test = page("trade-offs")
    assert set(table(test, "Status", "Model")["Model"]) == {"reference-1.6M"}
    other = tmp_path / "other.duckdb"
    stores.measured(other, support.round_result(support.trial(support.model_file("another"))))
    shutil.move(other, path)
    test = drawn(test.run())
    assert set(table(test, "Status", "Model")["Model"]) == {"another"}
    path.unlink()
    assert "there is no store" in texts(drawn(test.run()))


def test_a_run_under_way_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores.measured(path, support.round_result())
    store.add_plan("run-1", [support.trial(threads=8)], 1)
    monkeypatch.setattr("odllm_controller.analysis.queries.results.now", lambda: stores.later(0.1))
    progress = page().get("progress")[0]
    assert "sweep" in progress.proto.text
    assert "1 of 2 trials" in progress.proto.text
    assert progress.proto.value == 50


def test_kinds_of_devices_and_marks_are_explained(showcased: Path) -> None:
    test = page("trade-offs", device="slice-1 (virtual)")
    assert "virtual devices" in texts(test)
    (marks,) = (each.proto.body for each in test.sidebar.get("html") if "hollow" in each.proto.body)
    assert "virtual: hollow" in marks
    assert "measured" not in marks


@pytest.mark.parametrize("place", ["", "pareto", "trade-offs"])
def test_only_the_engine_that_is_chosen_is_on_a_page(path: Path, place: str) -> None:
    stores.measured(
        path,
        *(
            support.round_result(support.trial(support.model_file(quantization=kind), threads=n))
            for n in (2, 8)
            for kind in ("Q4_0", "Q8_0")
        ),
    )
    test = page(place, engine="llama_cpp, 8 threads", objective="speed")
    told = texts(test) + "".join(each.value.to_csv() for each in test.dataframe)
    assert "8 threads" in told
    assert "2 threads" not in told
    assert "of 4" not in told


@pytest.mark.parametrize("place", ["", "pareto"])
def test_only_the_model_that_is_chosen_is_on_a_page_in_its_colour_of_the_legend(
    showcased: Path, place: str
) -> None:
    test = page(place, device="laptop", model="qwen-3B", objective="speed")
    models = {model for each in test.dataframe for model in each.value.get("Model", ())}
    assert models == {"qwen-3B"}
    everything = page(place, device="laptop", objective="speed")
    html = "".join(each.proto.body for each in everything.get("html"))
    legend = dict(re.findall(r'color:(#\w+)">[^<]*</span> ([^<]+)<', html))
    assert "qwen-3B" in legend.values()
    for spec in (*charts(test), *charts(everything)):
        (points,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "point")
        colour = points["encoding"]["color"]
        assert colour["field"] == "model"
        drawn_in = dict(zip(colour["scale"]["domain"], colour["scale"]["range"], strict=True))
        assert all(drawn_in[model] == told for told, model in legend.items())
