"""The page of a run: it says what the store holds, and trusts no name in it."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from odllm_app.drawing.symbols import symbols
from odllm_app.report.cli import main
from odllm_app.report.report_charts import drawings
from odllm_app.report.table import figures
from odllm_controller.store import Store
from tests import stores, support
from tests.result_frames import frame

HOSTILE = "</h3><script>alert(1)</script><img src=x onerror='alert(2)'>\"&'\n" + "w" * 10_000


class Elements(HTMLParser):
    """The elements of a page, and what a browser would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "action", "srcset"}:
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run with a trial measured, one failed and one skipped, all with hostile names."""
    path = tmp_path_factory.mktemp("report") / "odllm.duckdb"
    here = support.device(HOSTILE, id="id-of-laptop", cpu="<u>cpu</u>", quota_cores=1.5)
    kept = stores.begun(path, here)
    trials = [
        support.trial(support.model_file("<b>m</b>", quantization=name))
        for name in ("F16", "Q4_0", "Q2_K")
    ]
    kept.add_plan("run-1", trials, 2)
    for trial in trials[:2]:
        for index in range(2):
            kept.add_round("run-1", support.round_result(trial, index))
    kept.add_round("run-1", support.failed_round(trials[2]))
    kept.add_skips(
        "run-1", [support.skip(support.trial(support.model_file("s")), "<i>no room</i>")]
    )
    return kept


@pytest.fixture(scope="module")
def page(kept: Store) -> str:
    out = kept.path.with_name("report.html")
    assert main(["--store", str(kept.path), "--out", str(out)]) == 0
    return out.read_text("utf-8")


def test_a_quota_stands_beside_the_processor_that_it_is_of(page: str) -> None:
    assert "16 hardware threads, a quota of 1.5 cores" in Elements(page).text


def test_nothing_is_fetched_or_run(page: str) -> None:
    found = Elements(page)
    assert "script" not in found.tags
    assert found.tags.count("img") == found.tags.count("link") == 0
    assert (found.addresses, found.handlers) == ([], [])
    assert not re.search(r"url\((?!#chart-)|@import|https?:", page)
    assert "default-src 'none'" in page


def test_names_are_text_as_they_are(page: str) -> None:
    text = Elements(page).text
    assert HOSTILE.splitlines()[0] in text
    assert "w" * 10_000 in text
    for name in ("<b>m</b>", "<u>cpu</u>", "<i>no room</i>"):
        assert name in text
        assert html.escape(name) in page


def test_every_chart_has_a_mark_per_trial_and_a_table_with_the_same_figures(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 4
    for each in charts:
        points = re.search(r'class="mark-symbol role-mark[^"]*"[^>]*>(.*?)</g>', each, re.DOTALL)
        assert points
        assert points[1].count("<path") == 2
    _, behind = page.split("Decode speed (tok/s), higher is better")
    first = behind.split("</figure>", maxsplit=1)[0]
    assert first.count("<td>100</td>") == 3 * 2, "a value with both ends of its interval, twice"
    assert "median of 6 repeats each" in first
    assert first.count("<td>measured</td>") == 2
    assert "measured: filled" in Elements(page).text


def test_names_inside_the_charts_are_unlike_each_other(page: str) -> None:
    names = re.findall(r' id="(chart-[^"]+)"', page)
    assert names
    assert len(names) == len(set(names))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(names)


def test_it_tells_the_answer_the_failures_the_method_and_the_devices(page: str) -> None:
    text = Elements(page).text
    assert "best by Decode speed" in text
    assert page.count("<td>undecided</td>") == 5, "two types of one model decide nothing"
    for told in (
        "4 trials: 2 done, 1 failed, 1 skipped",
        "the worker was killed",
        "no powercap here",
        "odllm run +experiment=sweep",
        "name: sweep",
        "Linux 6.1, Python 3.11.7, ODLLM 0.1.0",
        "llama_cpp 0.3.36+abc1234",
        "Perplexity: no such quality check",
    ):
        assert told in text
    assert "[100, 100]" in text


def test_of_many_devices_some_are_drawn_and_the_table_has_all() -> None:
    rows = [
        {"device": f"d{n}", "device_id": f"d{n}", "file_bpw": 4.5, "decode_tok_s": 10.0 + n}
        for n in range(14)
    ]
    found = frame(*rows)
    speed = next(drawings(found, symbols(["m"])))
    assert [each.heading.rpartition(", ")[2] for each in speed.drawings] == [
        f"d{n}" for n in range(12)
    ]
    assert "drawn for 12 of 14" in speed.left_out[0]
    assert len(figures(found).rows) == 14


def test_a_run_of_nothing_still_has_a_page(tmp_path: Path) -> None:
    path, out = tmp_path / "odllm.duckdb", tmp_path / "r.html"
    stores.begun(path)
    assert main(["run-1", "--store", str(path), "--out", str(out)]) == 0
    text = Elements(out.read_text("utf-8")).text
    assert "there is none" in text
    assert "Nothing failed" in text


def test_it_is_written_to_standard_output_and_nothing_else_is(
    kept: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--store", str(kept.path), "--out", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("<!doctype html>")
    assert out.rstrip().endswith("</html>")
    assert err.startswith("-: run ")
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["run-2"], 2, "the nearest is run-1"),
        (["--out", "/dev/null/r.html"], 2, "cannot be written"),
        (["--store", "none.duckdb"], 1, "there is no store"),
    ],
)
def test_what_cannot_be_is_told(
    kept: Store,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    assert main(["--store", str(kept.path), *arguments]) == status
    assert told in capsys.readouterr().err


def test_a_store_without_a_run_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Store.open(tmp_path / "odllm.duckdb").path
    assert main(["--store", str(path)]) == 2
    assert "holds no run" in capsys.readouterr().err
