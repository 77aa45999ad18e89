"""`odllm import`: files of results, whole, damaged and hostile, into a real store."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from odllm_agent.contract import Failure, ModelRequest, QualityResult, Source, Workload, to_json
from odllm_agent.failures import LeftOut
from odllm_agent.offline.assignment import FORMAT
from odllm_agent.offline.logbook import Closing, Entry, Logbook, Planned, RunStatus, Unprepared
from odllm_controller import store
from odllm_controller.analysis.queries import results
from odllm_controller.cli import table
from odllm_controller.cli.importing import Imported, ImportOptions, app, import_file, import_files
from odllm_controller.exchange.llama_bench.record import figures
from odllm_controller.overrides import line
from odllm_controller.store import Store
from tests import stores, support
from tests.odllm_controller.bench import eventually
from tests.odllm_controller.exchange.told import (
    FORMS,
    as_csv,
    as_json,
    as_lines,
    as_markdown,
    as_sql,
    entry,
    start_of,
)

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
    Closing(stores.later(1), RunStatus.FAILED),
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
    "change", [lambda text: text[:-1], lambda text: b"\n" + text.replace(b"\n", b"\r\n \n\n")]
)
def test_empty_lines_and_a_last_one_without_an_end_cost_nothing(
    path: Path, kept: Store, change: Callable[[bytes], bytes]
) -> None:
    write(path, *ENTRIES)
    path.write_bytes(change(path.read_bytes()))
    done = import_file(path, kept)
    assert (done.refused, done.results) == ({}, 5)


@pytest.mark.parametrize("end", [b"", b'{"Closing', b'{"Closing":{"a":"\xc3'])
def test_a_last_line_that_was_cut_off_is_told(path: Path, kept: Store, end: bytes) -> None:
    whole = write(path, *ENTRIES)
    path.write_bytes(whole + end if end else whole[:-2])
    n_lines = len(path.read_bytes().splitlines())
    assert import_file(path, kept).refused == {n_lines: "it was cut off"}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda line: line[:-2] + b"\n", 'it is no entry: \'{"RoundResult"'),
        (lambda _: b"log: \x1b[31mhello\n", "it is no entry: 'log: \\x1b[31mhello'"),
        (lambda line: line[:-1] + line, "it is no entry"),
        (lambda line: b"[" + line[:-1] + b"]\n", "it is no entry"),
        (lambda line: b"\xff" + line, "decode"),
        (lambda line: b"{}\n", "it is no entry: '{}'"),
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
    assert not import_files(
        (other, good), ImportOptions(store=kept.path), Console(file=out, width=200)
    )
    refused = f"other.jsonl is of format {FORMAT + 1}, and this ODLLM reads {FORMAT}"
    assert refused in out.getvalue()
    assert "good.jsonl: 5 results of 1 run" in out.getvalue()
    assert counts(kept)["rounds"] == 2


def test_the_answer_for_a_script_counts_and_names(
    path: Path, kept: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(write(path, *ENTRIES) + b"damaged")
    assert not import_files(
        (path,), ImportOptions(store=kept.path, as_json=True), Console(file=io.StringIO())
    )
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
    words = [str(bench), str(rows), "--store", str(kept.path), "--device", "PC 7"]
    _, asked, _ = app.parse_args(words)
    out = io.StringIO()
    assert not import_files(asked.args, asked.kwargs["options"], Console(file=out, width=200))
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
    path.write_text(json.dumps([entry(mla_attn=digits) for digits in (7, 10**30, "9" * 99)]))
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


def imported(kept: Store, name: str, text: str, device: str | None = None) -> Imported:
    path = kept.path.with_name(name)
    path.write_text(text, "utf-8")
    return import_file(path, kept, device)


def speeds(kept: Store) -> list[tuple[float, int]]:
    """Prefill speed and rounds of every row."""
    sql = "SELECT prefill_tok_s, rounds FROM results ORDER BY ALL"
    return list(store.read(kept.path, sql).itertuples(index=False, name=None))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_llama_bench_is_read_with_messages_around_it(kept: Store, form: str) -> None:
    tests = (start_of(), start_of(1, n_prompt=0, n_gen=128, avg_ts=32.0))
    text = f"a message\n{FORMS[form](*tests)}\nanother\n"
    done = imported(kept, f"bench.{form}", text, "Kitchen PC")
    assert (done.results, len(done.refused), done.whole) == (2, 2, False)
    assert min(done.refused) == 1
    found = results.load(kept.path)
    assert set(found["device"]) == {"Kitchen PC (imported)"}
    assert found["prefill_tok_s"].dropna().to_list() == [pytest.approx(512)]


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_a_shell_made_of_a_file_costs_nothing(
    kept: Store, form: str, encoding: str, line_end: str
) -> None:
    path = kept.path.with_name(f"bench.{form}")
    text = FORMS[form](start_of(), start_of(1, n_prompt=0, n_gen=128, avg_ts=32.0))
    path.write_bytes(text.replace("\n", line_end).encode(encoding))
    done = import_file(path, kept)
    assert (done.results, done.refused, done.whole) == (2, {}, True)
    (speed, _), *_ = speeds(kept)
    assert speed == pytest.approx(512)


def test_of_an_array_that_was_cut_off_whole_records_are_stored_and_the_rest_is_told(
    kept: Store,
) -> None:
    text = json.dumps([start_of(), start_of(1, n_prompt=0, n_gen=128, avg_ts=32.0)], indent=1)
    done = imported(kept, "no-end.json", text.removesuffix("]"))
    assert (done.results, list(done.refused), done.whole) == (2, [1], False)
    assert "has no end" in done.refused[1]
    done = imported(kept, "cut.json", text[:-40])
    assert (done.results, len(done.refused), done.whole) == (1, 1, False)


def test_outputs_that_were_appended_in_different_forms_are_all_read(kept: Store) -> None:
    text = "".join(write(start_of(n)) for n, write in enumerate(FORMS.values()))
    done = imported(kept, "bench.txt", text, "PC")
    assert (done.results, done.refused, done.reason) == (5, {}, "")


def test_a_table_wants_a_name_for_its_device(kept: Store) -> None:
    done = imported(kept, "bench.md", as_markdown(start_of()))
    assert (done.results, list(done.refused)) == (0, [3])
    assert "--device" in done.refused[3]


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "[]", "[\n]\n", "a message\n", "n_prompt,n_gen\n", "device,model,status\n", "{}"],
)
def test_a_file_without_a_record_is_never_taken_for_done(kept: Store, text: str) -> None:
    done = imported(kept, "f", text)
    assert (done.results, done.whole) == (0, False)
    assert done.refused or done.reason == ("there is no record in it" if text else "it is empty")


def test_a_table_of_no_rows_is_told_too(tmp_path: Path, kept: Store) -> None:
    path = tmp_path / "none.parquet"
    path.write_bytes(b"")
    assert import_file(path, kept).reason == "it is empty"


def test_all_that_is_wrong_in_a_line_is_counted(kept: Store) -> None:
    tests = [start_of(), start_of(1, n_prompt="many"), start_of(2, n_threads=-1), start_of(3)]
    done = imported(kept, "bench.json", json.dumps(tests))
    assert (done.results, list(done.refused)) == (2, [1])
    assert "n_prompt" in done.refused[1]
    assert "and 1 more in this line" in done.refused[1]


def test_rows_that_replace_those_of_another_file_and_unknown_columns_are_noted(kept: Store) -> None:
    assert imported(kept, "one.jsonl", json.dumps(ROW)).notes == ()
    assert imported(kept, "one.jsonl", json.dumps(ROW)).notes == ()
    newer = {**ROW, "decode_tok_s": 512.0, "warp": 9, "wobble": None}
    replaced, unknown = imported(kept, "two.jsonl", json.dumps(newer)).notes
    assert replaced.startswith("1 row of other files replaced by those of this one")
    assert unknown == "not kept, for this version has no such column: warp"


def test_a_second_row_of_a_trial_is_refused_if_it_has_other_figures(kept: Store) -> None:
    one, other = json.dumps(ROW), json.dumps({**ROW, "decode_tok_s": 512.0})
    done = imported(kept, "rows.jsonl", f"{one}\n{one}\n{other}\n")
    assert done.results == 2
    assert done.refused == {3: "it is the trial of line 1, with other figures"}
    found = store.read(kept.path, "SELECT decode_tok_s FROM results")["decode_tok_s"]
    assert found.tolist() == [ROW["decode_tok_s"]]


def test_two_files_of_the_same_test_are_kept_apart_and_told(kept: Store) -> None:
    one, two, three = (as_lines(start_of(n), start_of(n + 1)) for n in (1, 5, 9))
    assert imported(kept, "hip.jsonl", one).notes == ()
    for name, text in (("rocwmma.jsonl", two), ("tuned.jsonl", three)):
        (note,) = imported(kept, name, text).notes
        assert "1 row kept apart" in note
        assert "--device" in note
    assert [rounds for _, rounds in speeds(kept)] == [2, 2, 2]
    origins = set(store.read(kept.path, "SELECT origin FROM results")["origin"])
    assert len(origins) == 3


def test_a_file_that_grew_or_was_renamed_brings_its_new_rounds_to_its_rows(kept: Store) -> None:
    imported(kept, "bench.jsonl", as_lines(start_of(1)))
    imported(kept, "bench.jsonl", as_lines(start_of(1), start_of(2)))
    assert [rounds for _, rounds in speeds(kept)] == [2]
    done = imported(kept, "moved.json", as_json(start_of(1), start_of(2), start_of(3)))
    assert (done.whole, done.notes) == (True, ())
    assert [rounds for _, rounds in speeds(kept)] == [3]


def test_files_that_were_put_together_become_rounds_and_it_is_told(kept: Store) -> None:
    one, two = as_lines(start_of(1)), as_lines(start_of(2))
    imported(kept, "one.jsonl", one)
    imported(kept, "two.jsonl", two)
    (note,) = imported(kept, "both.jsonl", one + two).notes
    assert "became rounds" in note
    assert "--device" in note
    assert [rounds for _, rounds in speeds(kept)] == [2]


@pytest.mark.parametrize("later", ["json", "sql", "csv"])
@pytest.mark.parametrize("first", ["json", "sql", "csv"])
def test_one_test_is_one_row_in_whatever_forms_it_comes(
    kept: Store, first: str, later: str
) -> None:
    tests = (start_of(1), start_of(1, n_prompt=0, n_gen=128))
    for name, form in (("a", first), ("b", later)):
        done = imported(kept, f"{name}.{form}", FORMS[form](*tests))
        assert (done.results, done.whole) == (2, True)
    found = store.read(kept.path, "SELECT repeats FROM results")["repeats"]
    assert list(found) == ([3, 3] if "json" in {first, later} else [1, 1])


def test_averages_of_a_second_start_stand_beside_the_samples_of_the_first(kept: Store) -> None:
    imported(kept, "a.json", as_json(start_of(1)))
    imported(kept, "b.sql", as_sql(start_of(1), start_of(2)))
    assert len(speeds(kept)) == 2
    imported(kept, "b.json", as_json(start_of(1), start_of(2)))
    assert [rounds for _, rounds in speeds(kept)] == [2]


def test_a_file_of_before_is_imported_again_without_doubling_its_rows(kept: Store) -> None:
    """Rows were once named by the fields that were known, and others were taken together."""
    told = [start_of(1, mla_attn=0), start_of(2, mla_attn=3)]
    for each in (figures(test, "old.jsonl") for test in told):
        assert each.start
        row_id, round_ = each.start.earlier
        row = each.row | {"row_id": row_id, "trial_id": row_id}
        moved = [sample | {"row_id": row_id, "round": round_} for sample in each.samples]
        kept.add_imported([row], moved)
    assert [rounds for _, rounds in speeds(kept)] == [2], "which differ in a setting"
    assert imported(kept, "old.jsonl", as_lines(told[0])).whole
    assert [rounds for _, rounds in speeds(kept)] == [1, 1]
    assert imported(kept, "old.jsonl", as_lines(*told)).whole
    assert [rounds for _, rounds in speeds(kept)] == [1, 1]
    assert len(store.read(kept.path, "SELECT DISTINCT settings FROM results")) == 2


def test_a_name_reaches_the_terminal_without_its_codes(
    tmp_path: Path, kept: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\x1b[31mb\nc.jsonl"
    path.write_text(as_lines(start_of(cpu_info="A\nB\x1b[31m\x9b1m\u202e[bold]", n_prompt=8)))
    import_files((path, tmp_path / "\x1bnone"), ImportOptions(store=kept.path), table.console())
    found = results.load(kept.path)
    table.print_rows(table.console(), [table.words("device", "device")], results.records(found))
    out = capsys.readouterr().out
    assert set(filter(lambda each: not each.isprintable(), out)) == {"\n"}
    assert r"a\x1b[31mb\nc.jsonl: 1 result" in out
    assert r"A\nB\x1b[31m\x9b1m\u202e[bold] (imported)" in out


def started(kept: Store, *paths: str) -> subprocess.Popen[bytes]:
    """The command on what can be read only once."""
    command = [sys.executable, "-m", "odllm_controller", "import", *paths]
    return subprocess.Popen(
        [*command, "--store", str(kept.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_the_standard_input_is_read_by_either_name(kept: Store, path: str) -> None:
    with started(kept, path) as process:
        out, err = process.communicate(as_lines(start_of()).encode())
    assert (process.returncode, err) == (0, b"")
    assert f"{path}: 1 result" in out.decode()


def test_of_an_empty_standard_input_it_is_told(kept: Store) -> None:
    with started(kept, "-") as process:
        out, err = process.communicate(b"")
    assert (process.returncode, err) == (1, b"")
    assert "it is empty" in out.decode()


@pytest.mark.skipif(not shutil.which("bash"), reason="no other shell substitutes processes")
def test_what_a_shell_puts_in_a_files_place_is_read_in_its_order(
    tmp_path: Path, kept: Store
) -> None:
    for n in (0, 1):
        (tmp_path / f"{n}.jsonl").write_text(as_lines(start_of(n)))
    command = line.joined([sys.executable, "-m", "odllm_controller", "import"])
    first, second = (f"<(cat '{tmp_path}/{n}.jsonl')" for n in (0, 1))
    script = f"{command} {first} {second} --store '{kept.path}'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().count(": 1 result") == 2
    assert len(results.load(kept.path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_into_which_nobody_writes_is_left_with_ctrl_c(tmp_path: Path, kept: Store) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started(kept, str(pipe)) as process:
        writer = eventually(lambda: opened_for_writing(pipe))
        process.send_signal(signal.SIGINT)
        told = process.communicate()
        assert writer
        os.close(writer)
    assert (process.returncode, told) == (130, (b"", b"odllm: interrupted\n"))


def opened_for_writing(pipe: Path) -> int | None:
    """The pipe, once somebody reads it."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_a_run_that_names_its_device_is_not_given_another(path: Path, kept: Store) -> None:
    write(path, *ENTRIES)
    assert "names its device itself" in import_file(path, kept, "PC").reason
    assert set(counts(kept).values()) == {0}


def test_a_run_is_read_in_any_encoding(path: Path, kept: Store) -> None:
    path.write_text(write(path, *ENTRIES).decode(), "utf-16")
    done = import_file(path, kept)
    assert (done.results, done.whole) == (5, True)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_a_spreadsheet_made_of_an_export_is_read(kept: Store, delimiter: str) -> None:
    names = ("trial_id", "device", "model", "status", "repeats", "rounds", "decode_tok_s")
    rows = (
        ("a", "d, e", "m", "done", "3", "1", "64,5"),
        ("b", "d", "m", "done", "3", "1", "7,125"),
    )
    done = imported(kept, "r.csv", "".join(delimiter.join(row) + "\r\n" for row in (names, *rows)))
    assert (done.results, done.whole) == (2, True)
    found = store.read(kept.path, "SELECT decode_tok_s FROM results ORDER BY trial_id")
    assert list(found["decode_tok_s"]) == [64.5, 7.125]


def test_a_table_of_llama_bench_in_a_spreadsheet_is_the_same_test(kept: Store) -> None:
    imported(kept, "bench.csv", as_csv(start_of()))
    imported(kept, "sheet.csv", as_csv(start_of(avg_ts="512,0", stddev_ts="5,0"), delimiter=";"))
    assert len(speeds(kept)) == 1


HOSTILE: Sequence[object] = (
    "\x1b[2J",
    "\x9b\u202e\n",
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
            taken = [lines[number - 1] for number in (6, 7) if number not in done.refused]
            assert stored == {json.loads(line)["RoundResult"]["round"] for line in taken}


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
        assert done.refused.keys() <= {1, 2}
        assert done.results + len(done.refused) == 2
        assert len(results.load(kept.path)) in {0, 1, 2}
