"""`odllm advise` as it is typed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.contract import RoundResult, Workload
from odllm_agent.errors import StoreError, UsageError
from odllm_agent.terminal.program import run
from odllm_controller.cli.commands import advise
from tests import stores, support

Capture = pytest.CaptureFixture[str]


def results(kind: str, token_s: float, **changes: object) -> tuple[RoundResult, ...]:
    """Two rounds that agree but for a percent."""
    of = replace(support.trial(support.model_file(quantization=kind)), **changes)  # type: ignore[arg-type]
    rounds = [
        tuple(support.repeat(n, token_s=token_s * (1 + index / 100)) for n in (1, 2, 3))
        for index in range(2)
    ]
    return tuple(support.round_result(of, index, repeats) for index, repeats in enumerate(rounds))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Q4_0 is twice as fast as Q8_0, and worse."""
    path = tmp_path / "s.duckdb"
    store = stores.begun(path)
    store.add_results("run-1", [*results("Q4_0", 0.01), *results("Q8_0", 0.02)])
    for kind, value in (("Q4_0", 13.0), ("Q8_0", 12.0)):
        store.add_quality(
            "run-1", support.quality_result(support.model_file(quantization=kind), value)
        )
    return path


def told(path: Path, *words: str) -> int:
    return run(advise.app, ["--store", str(path), *words])


def test_the_answer_has_figures_costs_sureness_and_a_command(path: Path, capsys: Capture) -> None:
    assert told(path, "--min-decode", "80") == 0
    out = capsys.readouterr().out
    for part in (
        "laptop, short: 128 in, 64 out",
        "best by: Perplexity (lower is better)",
        "under: Decode speed at least 80.0 tok/s",
        "1  reference-1.6M  Q4_0",
        "The first is the best of 2 with",
        "limit: Decode speed at least 80.0 tok/s:",
        "note: quality is the perplexity, since no row has an accuracy",
    ):
        assert part in out
    assert "Q8_0, llama_cpp, 2 threads with 12.0, x1.08 as good" in out


def test_json_holds_the_same(path: Path, capsys: Capture) -> None:
    assert told(path, "--min-decode", "98", "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert [choice["quantization"] for choice in answer["choices"]] == ["Q4_0"]
    assert answer["costs"][0]["nearest"]["choice"]["quantization"] == "Q8_0"
    assert answer["limits"] == ["Decode speed at least 98.0 tok/s"]
    speed = {each["metric"]: each for each in answer["choices"][0]["figures"]}["decode_tok_s"]
    assert (speed["limit"], speed["meets"]) == (98, "likely")
    assert answer["next_command"].startswith("odllm run +experiment=sweep ")


def test_limits_that_nothing_meets_give_status_1_and_the_one_to_blame(
    path: Path, capsys: Capture
) -> None:
    assert told(path, "--max-memory", "50MB") == 1
    out = capsys.readouterr().out
    assert "no answer: nothing meets all limits; Peak memory at most 50.0 MB alone" in out
    assert "what comes nearest:" in out
    assert "90.0 MB (x1.8) gives" in out


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ([], "Q8_0"),
        (["--objective", "speed"], "Q4_0"),
        (["--objective", "speed", "--min-quality", "12.5"], "Q8_0"),
        (["--objective", "speed", "--limit", "perplexity=12.5"], "Q8_0"),
        (["--limit", "speed=70"], "Q4_0"),
        (["--top", "1"], "Q8_0"),
        (["--device", "laptop", "--workload", "short"], "Q8_0"),
        (["--device", "id-of"], "Q8_0"),
        (["--max-ttft", "1s"], "Q8_0"),
    ],
)
def test_every_option_is_honoured(
    path: Path, capsys: Capture, words: list[str], first: str
) -> None:
    assert told(path, "--json", *words) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["choices"][0]["quantization"] == first
    assert len(answer["choices"]) <= (1 if "--top" in words else 3)


def test_several_devices_and_workloads_get_an_answer_each(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "s.duckdb"
    store = stores.begun(path, support.device(), support.device("other"))
    long = Workload("long", 512, 64)
    store.add_results(
        "run-1",
        [
            *results("Q4_0", 0.01),
            *results("Q4_0", 0.01, workload=long),
            *results("Q4_0", 0.02, device_id="id-of-other"),
        ],
    )
    assert told(path, "--objective", "speed", "--json", "--min-decode", "80") == 0
    answers = json.loads(capsys.readouterr().out)
    assert [
        (each["device"], each["workload_label"], bool(each["choices"])) for each in answers
    ] == [
        ("laptop", "short: 128 in, 64 out", True),
        ("laptop", "long: 512 in, 64 out", True),
        ("other", "short: 128 in, 64 out", False),
    ]
    assert told(path, "--objective", "speed", "--device", "other", "--min-decode", "80") == 1


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (["--device", "labtop"], "there is no device 'labtop'", "laptop"),
        (["--workload", "shrot"], "there is no workload 'shrot'", "short"),
        (["--objective", "spede"], "there is no objective 'spede'", "speed"),
        (["--max-memory", "8"], "'8' is no limit of peak memory", "8GB"),
        (["--limit", "kld"], "--limit kld is no limit", "kld=5mnat"),
        (["--limit", "klt=1"], "there is no metric 'klt'", "kld"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(
    path: Path, words: list[str], message: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as raised:
        told(path, *words)
    assert message in raised.value.message
    assert remedy in raised.value.remedy


def test_a_store_without_figures_says_how_to_get_some(tmp_path: Path) -> None:
    stores.begun(tmp_path / "s.duckdb").add_plan("run-1", [support.trial()], 1)
    with pytest.raises(UsageError) as raised:
        told(tmp_path / "s.duckdb")
    assert "odllm run +experiment=sweep" in raised.value.remedy
    with pytest.raises(StoreError, match="there is no store"):
        told(tmp_path / "none.duckdb")


def test_help_has_examples(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        run(advise.app, ["--help"])
    assert ended.value.code == 0
    assert "odllm advise --max-memory 8GB --min-decode 10" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_name_reaches_the_terminal_without_control_codes(
    tmp_path: Path, capsys: Capture, words: list[str]
) -> None:
    path = tmp_path / "s.duckdb"
    device = support.device("A\nB\x1b[31mRED\u202e", id="id-of-laptop")
    stores.begun(path, device).add_results("run-1", [*results("Q4_0", 0.01)])
    assert told(path, "--objective", "speed", *words) == 0
    out = capsys.readouterr().out
    assert "RED" in out
    assert not [letter for letter in out if letter != "\n" and not letter.isprintable()]
