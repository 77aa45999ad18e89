"""`odllm claims` as it is typed."""

import json
from pathlib import Path

import pytest

from odllm_agent.errors import StoreError, UsageError
from odllm_agent.terminal.program import run
from odllm_controller.cli.commands import claims
from tests import stores, support

TOKEN_S = {"F16": 0.034, "Q8_0": 0.019, "Q5_K_M": 0.0134, "Q4_0": 0.011, "Q2_K": 0.008}
NUMBERS = [1, 2, 3, 4, 5]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which every table is whole."""
    monkeypatch.setenv("COLUMNS", "220")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one model at five types, in two rounds."""
    rounds = []
    for kind, token_s in TOKEN_S.items():
        trial = support.trial(support.model_file(quantization=kind))
        for index in range(2):
            repeats = tuple(
                support.repeat(place, token_s=token_s * (1 + 0.01 * place)) for place in range(1, 5)
            )
            rounds.append(support.round_result(trial, index, repeats))
    path = tmp_path / "odllm.duckdb"
    store = stores.measured(path, *rounds, rounds=2)
    for place, kind in enumerate(TOKEN_S):
        of = support.model_file(quantization=kind)
        store.add_quality("run-1", support.quality_result(of, 12.5 + place))
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(claims.app, arguments) == 0
    return capsys.readouterr().out


def test_every_claim_has_its_verdict_evidence_and_what_would_decide_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, "--store", str(path))
    for number in NUMBERS:
        assert f"\n{number}. " in f"\n{text}"
    assert text.count("undecided: ") == 5
    assert text.count("What would decide it: ") == 5
    assert "No power was measured: no powercap here." in text
    assert "Lines against bits per weight" not in text


def test_details_show_what_the_verdicts_rest_on(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, "--store", str(path), "--details")
    head, every, quantized = text[text.index("per bit [95 %]") :].splitlines()[:3]
    assert head.split()[-1] == "R2"
    assert every.split()[-4:] == ["2.05", "[2.05,", "2.05]", "1.00"]
    assert quantized.split()[-4:] == ["2.05", "[2.05,", "2.05]", "1.00"]
    assert "a break needs 6 types apart, and there are 5" in text
    steps = text[text.index("What each step down costs and saves") :]
    line = next(line for line in steps.splitlines() if "F16" in line)
    # From a perplexity of 12.5 to 13.5; nearly half of the file goes.
    assert "8.00 [" in line
    assert line.split()[-2] == "46.3"


def test_json_is_an_object_that_a_script_can_read(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(told(capsys, "--store", str(path), "--json"))
    assert set(found) == {"verdicts"}
    assert [each["number"] for each in found["verdicts"]] == NUMBERS
    assert {each["standing"] for each in found["verdicts"]} == {"undecided"}
    more = json.loads(told(capsys, "--store", str(path), "--json", "--details"))
    assert {"fits", "breaks", "thresholds", "steps", "phase_powers", "shifts"} < set(more)
    assert more["fits"][0]["against"] == "file_bpw"


def test_a_device_is_chosen_by_its_name_or_its_id(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_name = told(capsys, "--store", str(path), "--device", "laptop")
    assert by_name == told(capsys, "--store", str(path), "--device", "id-of-lap")
    assert by_name == told(capsys, "--store", str(path))


def test_what_is_wrong_is_named_with_its_remedy(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no device 'laptpo'") as error:
        run(claims.app, ["--store", str(path), "--device", "laptpo"])
    assert "laptop" in error.value.remedy
    stores.begun(tmp_path / "empty.duckdb")
    with pytest.raises(UsageError, match="nothing is measured"):
        run(claims.app, ["--store", str(tmp_path / "empty.duckdb")])
    with pytest.raises(StoreError):
        run(claims.app, ["--store", str(tmp_path / "none.duckdb")])


def test_where_nothing_was_measured_what_became_of_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "failed.duckdb"
    kept = stores.begun(path)
    kept.add_plan("run-1", [support.trial()], 1)
    kept.add_round("run-1", support.failed_round())
    kept.add_skips("run-1", [support.skip(support.trial(threads=6), "it needs 9.00 GB")])
    with pytest.raises(UsageError, match="nothing is measured") as refused:
        run(claims.app, ["--store", str(path)])
    assert "1 failed: the worker was killed" in refused.value.message
    assert "1 skipped: it needs 9.00 GB" in refused.value.message
    assert f"odllm explore --store {path}" in refused.value.remedy


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(claims.app, ["--help"])
    assert end.value.code == 0
    assert "odllm claims --device laptop --details" in capsys.readouterr().out


def test_a_model_whose_name_is_markup_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [
        support.trial(support.model_file("[red]m[/red]-1B", quantization=kind))
        for kind in ("F16", "Q8_0", "Q4_0")
    ]
    stores.measured(tmp_path / "s.duckdb", *map(support.round_result, trials))
    text = told(capsys, "--store", str(tmp_path / "s.duckdb"), "--details")
    assert "[red]m[/red]-1B" in text
