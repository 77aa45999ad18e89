"""What an earlier ODLLM has written is read as it was: a store, a device's file, its journal.

The files in `data` were written by commit 4627067 on a machine of two cores, by `odllm run
+experiment=smoke`, `odllm-agent describe`, `odllm plan --device-file`, `odllm-agent run` and `odllm
export`. They are never written anew: what they have to stay readable by is this very test.
"""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from odllm_agent.contract import Device, RoundResult, from_json
from odllm_agent.offline import assignment
from odllm_agent.offline.execution import Done
from odllm_agent.offline.logbook import Logbook
from odllm_agent.trials.journal import Journal
from odllm_controller import store
from odllm_controller.cli.importing import import_file
from odllm_controller.store import Store

DATA = Path(__file__).parent / "data"


def unpacked(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    return path


def exported() -> list[dict[str, object]]:
    """The rows of `results` as they were exported then."""
    return [json.loads(line) for line in (DATA / "exported.jsonl").read_text().splitlines()]


def test_a_store_has_the_same_trials_with_the_same_figures(tmp_path: Path) -> None:
    path = unpacked(tmp_path, "store.duckdb")
    Store.open(path)
    found = store.read(path, "SELECT * FROM results").set_index("trial_id")
    told = exported()
    assert len(told) == len(found) == 2
    for row in told:
        now = found.loc[str(row["trial_id"])]
        assert set(row) <= {*found.columns, "trial_id"}, "no column is gone"
        for name in ("decode_tok_s", "prefill_tok_s", "ttft_s", "file_bpw", "perplexity"):
            assert now[name] == pytest.approx(row[name])
        for name in ("device", "model", "quantization", "engine_version", "engine_build", "status"):
            assert now[name] == row[name]


def test_a_devices_file_is_imported_whole_under_the_same_ids(tmp_path: Path) -> None:
    kept = Store.open(tmp_path / "new.duckdb")
    done = import_file(unpacked(tmp_path, "results.jsonl"), kept)
    assert done.whole
    assert not done.refused
    found = store.read(kept.path, "SELECT trial_id, status FROM results")
    assert set(found["trial_id"]) == {row["trial_id"] for row in exported()}
    assert set(found["status"]) == {"done"}


def test_a_devices_file_is_gone_on_from(tmp_path: Path) -> None:
    asked, sha256 = assignment.read(DATA / "trials.json")
    assert asked.device == from_json(Device, (DATA / "laptop.json").read_bytes())
    with Logbook(unpacked(tmp_path, "results.jsonl"), sha256) as logbook:
        done = Done.of(logbook.earlier)
    rounds = [each for each in done.rounds if isinstance(each, RoundResult)]
    assert {each.trial.id for each in rounds} == {row["trial_id"] for row in exported()}
    assert done.checks


def test_a_journal_is_read_and_nothing_of_it_is_set_aside(tmp_path: Path) -> None:
    shutil.copytree(DATA / "journal", tmp_path / "journal")
    found = Journal(tmp_path / "journal").collect("any")
    assert found.damaged == ()
    assert [entry.event.kind for entry in found.entries if entry.event] == ["model_added"] * 2
