"""What a run was, told from the store."""

from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_controller.analysis.queries import account
from odllm_controller.store import Store
from tests import stores, support


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    kept = stores.begun(tmp_path / "odllm.duckdb", support.device(), support.device("desktop"))
    kept.add_run(stores.run("run-2", stores.later(1)))
    kept.end_run("run-1", stores.later(0.5), "done")
    return kept


def test_a_run_is_told_with_its_devices_as_they_were_in_it(kept: Store) -> None:
    kept.add_device("run-2", support.device(cpu="Example 9001"))
    told = account.load(kept.path, "run-1")
    assert (told.experiment, told.status, told.seed) == ("sweep", "done", 1)
    assert told.started_at == support.STARTED.replace(tzinfo=None)
    assert told.ended_at == stores.later(0.5).replace(tzinfo=None)
    assert told.git_commit is None
    assert told.versions == {"python": "3.11.7", "duckdb": "2.0.0"}
    assert told.devices == (support.device("desktop"), support.device())
    (now,) = account.load(kept.path, "run-2").devices
    assert now.cpu == "Example 9001"


def test_a_run_that_goes_on_has_no_end(kept: Store) -> None:
    told = account.load(kept.path, "run-2")
    assert (told.status, told.ended_at, told.devices) == ("running", None, ())


def test_the_latest_run_is_meant_unless_one_is_named(kept: Store) -> None:
    assert account.find(kept.path, None) == "run-2"
    assert account.find(kept.path, "run-1") == "run-1"


def test_a_run_that_is_none_is_told_with_the_nearest(kept: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run rum-1") as refused:
        account.find(kept.path, "rum-1")
    assert refused.value.remedy == "the nearest is run-1"
    with pytest.raises(UsageError, match="holds no run"):
        account.find(Store.open(tmp_path / "empty.duckdb").path, None)
