"""The page's logic, run by Streamlit's own harness on real stores."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from odllm_agent.contract import Failure, ModelRequest, RoundResult, Source, Workload
from odllm_controller.store import Store
from tests import stores, support

SCRIPT = Path(__file__).parents[2] / "app" / "entry" / "script.py"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "odllm.duckdb"
    monkeypatch.setattr("sys.argv", ["script.py", "--store", str(path)])
    return path


def page(path: str = "", **address: str) -> AppTest:
    """A page as drawn for an address; a traceback on it fails the test."""
    test = AppTest.from_file(str(SCRIPT), default_timeout=60)
    for key, value in address.items():
        test.query_params[key] = value
    if path:
        # What `switch_page` would do, if it took pages that are functions.
        test._page_hash = calc_hash(path)
    return drawn(test.run())


def drawn(test: AppTest) -> AppTest:
    assert not test.exception, test.exception
    return test


def charts(test: AppTest) -> list[dict[str, Any]]:
    return [json.loads(each.proto.spec) for each in test.get("vega_lite_chart")]


def table(test: AppTest, column: str) -> pd.DataFrame:
    """The only table that has a column."""
    (found,) = (each.value for each in test.dataframe if column in each.value)
    return found


def texts(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.error, test.subheader)
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def rounds(*quantizations: str, threads: int = 2) -> list[RoundResult]:
    return [
        support.round_result(support.trial(support.model_file(quantization=name), threads=threads))
        for name in quantizations
    ]


def with_energy(result: RoundResult) -> RoundResult:
    repeats = tuple(replace(each, energy=support.some_energy(2.0, 3.0)) for each in result.repeats)
    return replace(result, repeats=repeats)


def test_no_store_yet(path: Path) -> None:
    test = page()
    assert f"there is no store at {path}" in texts(test)
    assert "odllm run" in texts(test)


def test_a_file_that_is_no_store(path: Path) -> None:
    path.write_text("not a database")
    test = page()
    assert "is not a DuckDB file" in texts(test)
    assert not charts(test)


def test_an_empty_store(path: Path) -> None:
    Store.open(path)
    test = page()
    assert "Nothing is stored yet" in texts(test)
    assert "odllm run" in test.code[0].value


def test_planned_trials_only(path: Path) -> None:
    stores.begun(path).add_plan("run-1", [support.trial()], 1)
    test = page()
    assert "None of the chosen trials has been measured yet" in texts(test)
    assert "1 planned" in texts(page("runs"))


def test_every_measured_metric_has_a_chart(path: Path) -> None:
    store = stores.measured(path, *rounds("Q4_0", "Q8_0"))
    store.add_quality("run-1", support.quality_result())
    test = page()
    titles = [text.value for text in test.markdown if text.value.startswith("**")]
    assert [title.split("**")[1] for title in titles] == [
        "Decode speed",
        "Prefill speed",
        "Time to first token",
        "Time per output token",
        "Peak memory",
        "Mapped model",
        "Memory that no file backs",
        "Weights read or laid out anew",
        "KV cache",
        "Compute buffers",
        "Load time",
        "Perplexity",
    ]
    assert len(charts(test)) == len(titles)
    assert "2 trials · median of 3 repeats each" in texts(test)


def test_missing_energy_says_why_and_is_never_zero(path: Path) -> None:
    stores.measured(path, *rounds("Q4_0"))
    test = page()
    assert "Mean power" in texts(test)
    assert "unavailable, no powercap here" in texts(test)
    assert "energy: unavailable" in texts(test)
    assert "Mean power (W)" not in table(test, "Status")


def test_energy_that_was_measured_is_drawn_with_its_method(path: Path) -> None:
    stores.measured(path, *map(with_energy, rounds("Q4_0", "Q8_0")))
    test = page()
    assert "**Mean power** · lower is better" in texts(test)
    assert "energy: measured" in texts(test)
    assert table(test, "Status")["Decode energy per token (mJ)"].tolist() == pytest.approx(
        [46.88] * 2
    )


def test_energy_that_only_some_trials_have_says_why_not_the_others(path: Path) -> None:
    with_none, with_some = rounds("Q4_0", "Q8_0")
    stores.measured(path, with_none, with_energy(with_some))
    told = texts(page())
    assert "Decode power, Prefill energy per token: none in 1 of 2 trials, no powercap" in told


def test_failed_trials_are_listed_with_reason_and_remedy(path: Path) -> None:
    store = stores.measured(path, support.failed_round())
    request = ModelRequest("mine", Source.FILE, "/gone.gguf")
    failure = Failure("ModelMissing", "no file at /gone.gguf", "put it there")
    store.add_failure("run-1", "id-of-laptop", request, failure)
    test = page()
    assert "2 failed" in texts(page("runs"))
    failed = table(test, "What went wrong")
    assert set(failed["What went wrong"]) == {"the worker was killed", "no file at /gone.gguf"}
    assert set(failed["What to do"]) == {"try again", "put it there"}
    assert not charts(test)


def test_skipped_trials_are_listed_with_their_reason(path: Path) -> None:
    store = stores.measured(path, *rounds("Q4_0"))
    left_out = support.trial(support.model_file(quantization="Q2_K"))
    store.add_skips("run-1", [support.skip(left_out, "needs 9.00 GB")])
    test = page()
    assert "1 done, 1 skipped" in texts(page("runs"))
    skipped = table(test, "Why it cannot run")
    assert skipped["Why it cannot run"].tolist() == ["needs 9.00 GB"]
    assert skipped["Type"].tolist() == ["Q2_K"]


def test_a_filter_narrows_charts_and_table(path: Path) -> None:
    small = rounds("Q4_0", "Q8_0")
    large = support.round_result(support.trial(support.model_file("reference-6M")))
    stores.measured(path, *small, large)
    test = page()
    assert len(table(test, "Status")) == 3
    test = drawn(test.multiselect(key="model").set_value(["reference-6M"]).run())
    assert set(table(test, "Status")["Model"]) == {"reference-6M"}
    assert "1 trial ·" in texts(test)


def test_an_address_restores_the_view(path: Path) -> None:
    stores.measured(path, *rounds("Q4_0", threads=1), *rounds("Q4_0", "Q8_0", threads=2))
    test = page(engine="llama_cpp, 2 threads")
    assert test.multiselect(key="engine").value == ["llama_cpp, 2 threads"]
    assert len(table(test, "Status")) == 2
    assert "llama_cpp, 1 thread" not in set(table(test, "Status")["Engine"])


def test_an_address_of_something_gone_shows_what_there_is(path: Path) -> None:
    stores.measured(path, *rounds("Q4_0"))
    test = page(device="sold", engine="none")
    assert len(table(test, "Status")) == 1


def test_unlike_trials_never_share_a_chart(path: Path) -> None:
    long = Workload("long", prompt_tokens=512, output_tokens=64)
    other = replace(support.trial(threads=1), workload=long)
    stores.measured(
        path, *rounds("Q4_0", threads=1), *rounds("Q8_0", threads=2), support.round_result(other)
    )
    test = page()
    assert len(table(test, "Status")) == 1, "one workload and engine at the start"
    test.multiselect(key="workload").set_value([])
    test = drawn(test.multiselect(key="engine").set_value([]).run())
    assert len(table(test, "Status")) == 3
    headings = [text.value for text in test.markdown if "Decode speed" in text.value]
    assert len(headings) == 3
    assert len(set(headings)) == 3


def test_two_devices_stand_side_by_side(path: Path) -> None:
    store = stores.begun(path, support.device(), support.device("desktop"))
    for name in ("laptop", "desktop"):
        store.add_round("run-1", support.round_result(support.trial(device_id=f"id-of-{name}")))
    headings = [text.value for text in page().markdown if "Decode speed" in text.value]
    assert [heading.rpartition(" · ")[2] for heading in headings] == ["desktop", "laptop"]


def test_a_run_under_way_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores.measured(path, *rounds("Q4_0"))
    store.add_plan("run-1", [support.trial(threads=8)], 1)
    monkeypatch.setattr("odllm_controller.analysis.results.now", lambda: stores.later(0.1))
    progress = page().get("progress")[0]
    assert "sweep" in progress.proto.text
    assert progress.proto.value == 50


def test_charts_load_nothing_from_elsewhere(path: Path) -> None:
    stores.measured(path, *rounds("Q4_0"))
    for spec in charts(page()):
        spec.pop("$schema", None)
        assert "http" not in json.dumps(spec)
