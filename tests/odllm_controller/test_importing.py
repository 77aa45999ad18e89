"""`odllm import`: files of results, whole, damaged and hostile, into a real store."""

import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from odllm_agent.assignment import FORMAT
from odllm_agent.contract import Failure, ModelRequest, QualityResult, Source, Workload, to_json
from odllm_agent.failures import LeftOut
from odllm_agent.logbook import Closing, Entry, Logbook, Planned, Status, Unprepared
from odllm_controller import store
from odllm_controller.analysis import results
from odllm_controller.importing import Options, import_file, import_files
from odllm_controller.store import Store
from tests import stores, support
from tests.odllm_controller.exchange.told import entry

TRIAL = replace(support.trial(), engine=support.assignment().engines[0])
UNREAD = replace(TRIAL, model=support.model_file(quantization="Q2_K"))
ROUND = support.round_result(TRIAL, repeats=(support.repeat(1, token_s=0.01), support.repeat(2)))
TABLES = (
    "runs",
    "devices",
    "trials",
    "planned",
    "skips",
    "rounds",
    "repeats",
    "token_times",
    "baselines",
    "ceilings",
    "quality",
    "failures",
)
ENTRIES: list[Entry] = [
    support.opening(support.assignment(skips=(support.skip(UNREAD),))),
    Planned((TRIAL,), 2, 2, 0.02),
    Unprepared(ModelRequest("m", Source.FILE, "/m.gguf"), Failure("ModelMissing", "gone")),
    support.ceilings(TRIAL.engine, read=2e10),
    support.baseline(idle_w=2.0),
    ROUND,
    support.failed_round(TRIAL, 1),
    replace(support.quality_result(), check=support.quality_check(engine=TRIAL.engine)),
    Closing(stores.later(1), Status.FAILED),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "odllm.duckdb")


def write(path: Path, *found: Entry) -> bytes:
    with Logbook(path, "0" * 64) as book:
        for entry in found:
            book.add(entry)
    return path.read_bytes()


def counts(kept: Store) -> dict[str, int]:
    return {name: len(store.read(kept.path, f"SELECT * FROM {name}")) for name in TABLES}


def test_a_run_of_its_own_is_stored_with_all_that_it_brought(path: Path, kept: Store) -> None:
    write(path, *ENTRIES)
    done = import_file(path, kept)
    assert done.whole
    assert done.results == 5
    (run,) = store.read(kept.path, "SELECT * FROM runs").to_dict("records")
    assert (run["run_id"],) == done.runs
    assert (run["origin"], run["status"], run["experiment"]) == ("import", "failed", "sweep")
    assert run["ended_at"] == stores.later(1).replace(tzinfo=None)
    assert json.loads(run["versions"]) == {"odllm": "0.1.0"}
    assert min(counts(kept).values()) == 1
    (row,) = results.records(results.measured(results.load(kept.path)))
    assert (row["device"], row["run"]) == ("laptop", run["run_id"])
    assert row["decode_tok_s"] == pytest.approx(100)
    assert {"skipped", "failed"} <= set(results.load(kept.path)["status"])


def test_a_file_imported_again_changes_nothing_and_one_that_grew_brings_what_is_new(
    path: Path, kept: Store
) -> None:
    write(path, *ENTRIES[:-3])
    first = import_file(path, kept)
    before = counts(kept)
    assert import_file(path, kept) == first
    assert counts(kept) == before
    (run,) = store.read(kept.path, "SELECT status FROM runs").to_dict("records")
    assert run["status"] == "interrupted", "it did not say that it ended"
    write(path, *ENTRIES[-3:])
    assert import_file(path, kept).runs == first.runs
    after = counts(kept)
    assert (after["rounds"], after["quality"]) == (before["rounds"] + 1, before["quality"] + 1)
    (run,) = store.read(kept.path, "SELECT status FROM runs").to_dict("records")
    assert run["status"] == "failed"


def test_what_a_failed_check_missed_is_stored_when_a_later_run_of_the_file_has_it(
    path: Path, kept: Store
) -> None:
    good = ENTRIES[7]
    assert isinstance(good, QualityResult)
    failed = replace(good, scores=(), failure=Failure("WorkerDied", "killed"))
    again = replace(support.opening(), started_at=stores.later(2))
    write(path, support.opening(), failed, again, good)
    assert len(import_file(path, kept).runs) == 2
    found = store.read(kept.path, "SELECT value FROM quality WHERE complete")
    assert list(found["value"]) == [12.5]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda line: line[:-2] + b"\n", "Expecting"),
        (lambda line: b"\xff" + line, "decode"),
        (lambda line: b"{}\n", "not enough values"),
        (lambda line: b"[" * 100_000 + b"\n", ""),
        (lambda line: line.replace(b"RoundResult", b"__import__"), "no entry named"),
        (lambda line: line.replace(b'"ttft_s":', b'"ttft_s":NaN,"_":'), "NaN"),
        (lambda line: line.replace(b'"round":0', b'"round":1e999'), "inf"),
        (lambda line: line.replace(b'"round":0', b'"round":99999999999'), "round"),
        (lambda line: line.replace(b'"index":2', b'"index":1'), "cannot hold"),
        (lambda line: line.replace(b"id-of-laptop", b"id-of-other"), "another device"),
        (lambda line: line.replace(b'"threads":1', b'"threads":"many"'), "threads"),
    ],
)
def test_a_damaged_line_is_refused_by_its_number_and_the_rest_is_kept(
    path: Path, kept: Store, damage: object, told: str
) -> None:
    lines = write(path, *ENTRIES).splitlines(keepends=True)
    lines[5] = damage(lines[5])  # type: ignore[operator]
    path.write_bytes(b"".join(lines))
    done = import_file(path, kept)
    assert list(done.refused) == [6]
    assert told in done.refused[6]
    assert done.results == 4
    assert counts(kept)["rounds"] == 1, "of two rounds the failed one is left"


def test_results_without_the_beginning_of_their_run_are_refused(path: Path, kept: Store) -> None:
    content = write(path, *ENTRIES)
    path.write_bytes(content[content.index(b"\n") + 1 :])
    done = import_file(path, kept)
    assert (done.runs, len(done.refused)) == ((), len(ENTRIES) - 1)
    assert set(counts(kept).values()) == {0}


def test_what_was_not_tried_is_imported_with_its_reason(path: Path, kept: Store) -> None:
    other = replace(TRIAL, model=support.model_file(quantization="Q8_0"))
    check = support.quality_check(other.model, engine=other.engine)
    left_out = LeftOut("llama_cpp", "it crashed", 5, 2, (other.id, "of-no-plan"), (check,))
    entries = [*ENTRIES[:1], Planned((TRIAL, other), 2, 2, 0.02), left_out, *ENTRIES[-1:]]
    write(path, *entries)
    assert import_file(path, kept).whole
    found = results.load(kept.path).dropna(subset="trial_id").set_index("trial_id")
    assert found["status"].to_dict() == {TRIAL.id: "planned", other.id: "held"}
    assert found["hold_reason"][other.id] == left_out.reason
    assert found["perplexity_reason"][other.id] == left_out.reason
    assert counts(kept)["failures"] == 0


def test_checks_of_another_device_that_were_not_tried_are_refused(path: Path, kept: Store) -> None:
    check = support.quality_check(device_id="id-of-another")
    write(path, *ENTRIES[:2], LeftOut("llama_cpp", "it crashed", 5, 0, (), (check,)))
    assert list(import_file(path, kept).refused) == [3]
    assert counts(kept)["quality"] == 0


def test_a_file_of_another_format_is_refused_with_both_and_the_next_is_read(
    tmp_path: Path, kept: Store
) -> None:
    other, good = tmp_path / "other.jsonl", tmp_path / "good.jsonl"
    write(other, replace(support.opening(), format=FORMAT + 1))
    write(good, *ENTRIES)
    out = io.StringIO()
    assert not import_files(Options((other, good), kept.path, False), Console(file=out, width=200))
    refused = f"other.jsonl is of format {FORMAT + 1}, and this ODLLM reads {FORMAT}"
    assert refused in out.getvalue()
    assert "good.jsonl: 5 results of 1 run" in out.getvalue()
    assert counts(kept)["rounds"] == 2


def test_the_answer_for_a_script_counts_and_names(
    path: Path, kept: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(write(path, *ENTRIES) + b"damaged")
    assert not import_files(Options((path,), kept.path, True), Console(file=io.StringIO()))
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["results"], len(told["runs"]), list(told["refused"])) == (5, 1, ["10"])


def test_a_missing_file_is_told_and_the_store_is_left_alone(tmp_path: Path, kept: Store) -> None:
    done = import_file(tmp_path / "none.jsonl", kept)
    assert "cannot be read" in done.reason
    assert set(counts(kept).values()) == {0}


def test_figures_of_llama_bench_are_stored_but_for_what_is_damaged(
    tmp_path: Path, kept: Store
) -> None:
    path = tmp_path / "bench.jsonl"
    lines = [entry(), entry(n_prompt="many"), entry(n_prompt=0, n_gen=8), entry(cpu_info="other")]
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"n_prompt": 5')
    done = import_file(path, kept)
    assert (done.results, list(done.refused), done.runs) == (3, [2, 5], ())
    assert "n_prompt" in done.refused[2]
    assert import_file(path, kept) == done
    found = results.load(kept.path)
    assert len(found) == 3
    assert set(found["device"]) == {"Example 7000 (imported)", "other (imported)"}
    assert set(found["origin"]) == {"llama-bench b1200 (bench.jsonl)"}


def test_a_name_that_is_told_is_that_of_the_device_and_refused_where_files_have_names(
    tmp_path: Path, kept: Store
) -> None:
    bench, rows = tmp_path / "bench.json", tmp_path / "rows.jsonl"
    bench.write_text(json.dumps([entry(cpu_info="")]))
    rows.write_text(json.dumps({"device": "laptop", "device_kind": "real"}))
    options = Options.of([str(bench), str(rows), "--store", str(kept.path), "--device", "PC 7"])
    out = io.StringIO()
    assert not import_files(options, Console(file=out, width=200))
    assert "bench.json: 1 result\n" in out.getvalue()
    assert "rows.jsonl names its devices itself" in out.getvalue()
    assert list(results.load(kept.path)["device"]) == ["PC 7 (imported)"]


def test_a_row_that_the_store_cannot_hold_costs_itself_alone(tmp_path: Path, kept: Store) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"device_kind": "real", "model": "m", "status": "done", "repeats": 1, "rounds": 1}
    far = {"run_started_at": "9999-12-31T23:59:59Z", "kv_bytes": 1e308}
    lines = [row | {"device": f"d{n}"} for n in range(3)]
    lines[1] |= far
    path.write_text("\n".join(map(json.dumps, lines)))
    done = import_file(path, kept)
    assert done.results + len(done.refused) == 3
    assert done.refused.keys() <= {2}
    assert {"d0", "d2"} <= set(store.read(kept.path, "SELECT device FROM results")["device"])


def test_a_setting_with_more_digits_than_a_number_has_is_kept(tmp_path: Path, kept: Store) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps([entry(n_batch=digits) for digits in (7, 10**30, "9" * 99)]))
    assert import_file(path, kept).results == 3
    assert results.load(kept.path)["settings"].str.contains("9" * 99).sum() == 1


def test_a_parquet_file_that_was_cut_off_is_refused_whole(tmp_path: Path, kept: Store) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 100)
    done = import_file(path, kept)
    assert (done.results, done.whole) == (0, False)
    assert "is damaged" in done.reason


def test_a_csv_line_that_was_cut_off_is_refused_by_its_number(tmp_path: Path, kept: Store) -> None:
    path = tmp_path / "rows.csv"
    heading = "trial_id,device,model,status,repeats,rounds"
    path.write_text(f"{heading}\na,d,m,done,1,1\nb,d,m,done\nc,d,m,done,x,1\nd,d,m,done,1,1\n")
    done = import_file(path, kept)
    assert (done.results, list(done.refused)) == (2, [3, 4])
    assert "4 cells, and the heading has 6" in done.refused[3]
    assert "repeats" in done.refused[4]


HOSTILE: Sequence[object] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**400,
    0.0,
    -0.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "n" * 10_000,
    "'; DROP TABLE runs; --",
    "../../../etc/passwd",
    "${oc.env:HOME}",
    "{{7*7}}",
    "a\0b",
    "\ud800",
    "0001-01-01T00:00:00+14:00",
    [],
    {},
    [[]],
    {"threads": "many"},
)


def places(plain: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The way to every value in what was read from JSON."""
    inside = (
        plain.items()
        if isinstance(plain, dict)
        else enumerate(plain)
        if isinstance(plain, list)
        else ()
    )
    return [at] * bool(at) + [way for key, item in inside for way in places(item, (*at, key))]


@st.composite
def mutated(draw: st.DrawFn) -> list[bytes]:
    """The lines of a whole file, one value of one of them replaced or the line's bytes damaged."""
    lines = [to_json({type(entry).__name__: entry}).encode() for entry in ENTRIES]
    chosen = draw(st.integers(0, len(lines) - 1))
    if draw(st.integers(0, 9)) == 0:
        where = draw(st.integers(0, len(lines[chosen]) - 1))
        line = bytearray(lines[chosen])
        line[where] = draw(st.integers(0, 255).filter(lambda byte: byte != ord("\n")))
        lines[chosen] = bytes(line)
        return lines
    plain = json.loads(lines[chosen])
    *way, last = draw(st.sampled_from(places(plain)))
    inside = plain
    for key in way:
        inside = inside[key]
    inside[last] = draw(st.sampled_from(HOSTILE))
    lines[chosen] = json.dumps(plain).encode()
    return lines


@settings(max_examples=20)
@given(mutated())
def test_whatever_one_line_holds_the_store_answers_and_the_other_lines_are_kept(
    lines: list[bytes],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder, "results.jsonl"), Store.open(Path(folder, "odllm.duckdb"))
        path.write_bytes(b"\n".join(lines) + b"\n")
        done = import_file(path, kept)
        stored = set(store.read(kept.path, "SELECT round FROM rounds")["round"])
        results.load(kept.path)
        if done.runs and not done.reason:
            assert len(done.refused) <= 1
            assert len(stored) + sum(number in {6, 7} for number in done.refused) == 2


@given(st.text(), st.text())
@settings(max_examples=8)
def test_any_name_is_kept_as_it_is_or_refused(device: str, workload: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder, "results.jsonl"), Store.open(Path(folder, "odllm.duckdb"))
        named = replace(TRIAL, workload=Workload(workload, 8, 4))
        opening = support.opening(device=support.device(device, id="x"))
        result = support.round_result(replace(named, device_id="x"))
        write(path, opening, Planned((), 1, 1, 0.1), result)
        done = import_file(path, kept)
        found = store.read(kept.path, "SELECT device, workload FROM results")
        if done.whole:
            assert found.to_dict("records") == [{"device": device, "workload": workload}]
        else:
            assert "\0" in device + workload


ROW: dict[str, object] = {
    "trial_id": "t",
    "device": "laptop",
    "device_kind": "real",
    "engine": "llama_cpp",
    "model": "m",
    "status": "done",
    "workload": "short",
    "prompt_tokens": 8,
    "output_tokens": 4,
    "depth_tokens": 0,
    "settings": {"threads": 1},
    "threads": 1,
    "repeats": 6,
    "rounds": 2,
    "decode_tok_s": 100.0,
    "run_started_at": "2026-11-01 12:00:00",
    "accuracies": {"fact": 0.5},
}


@settings(max_examples=20)
@given(st.data())
def test_whatever_a_field_of_a_figure_holds_the_store_answers_and_the_other_lines_are_kept(
    data: st.DataObject,
) -> None:
    plain = data.draw(st.sampled_from([entry(), ROW]))
    hostile = plain | {
        data.draw(st.sampled_from(sorted(plain))): data.draw(st.sampled_from(HOSTILE))
    }
    told = plain | ({"test_time": "2025-01-01T00:00:00Z"} if plain is not ROW else {})
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder, "figures.jsonl"), Store.open(Path(folder, "odllm.duckdb"))
        path.write_text(f"{json.dumps(told)}\n{json.dumps(hostile)}\n", "utf-8")
        done = import_file(path, kept)
        assert done.refused.keys() <= {2}
        assert done.results + len(done.refused) == 2
        assert len(results.load(kept.path)) in {1, 2}
