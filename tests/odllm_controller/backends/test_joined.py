"""The whole command over a real head and devices that have joined it, and what may befall them."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from odllm_agent.host.state import cpus
from odllm_agent.network.address import Address
from odllm_agent.processes import tagged
from odllm_controller.head import starting
from odllm_controller.head.head import Head
from tests import family
from tests.joining import Join, free_port, join
from tests.odllm_controller.bench import Bench, eventually

pytestmark = pytest.mark.ray

# Each trial takes seconds, so that something can befall it.
SLOW = (
    "fleet=ray",
    "rounds=1",
    "repeats.at_least=100",
    "repeats.at_most=100",
    "workloads.short.output_tokens=400",
    "power=none",
)


MEASURING = "odllm_agent.trials.worker measure"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    monkeypatch.setenv("ODLLM_FLEET_DIR", str(tmp_path / "fleet"))
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    started = starting.start(Address("127.0.0.1", free_port()))
    yield started
    started.end()


@pytest.fixture
def devices(head: Head, tmp_path: Path) -> Iterator[tuple[Join, Join]]:
    with contextlib.ExitStack() as stack:
        one, two = (
            stack.enter_context(
                join(
                    tmp_path / name,
                    *(head.address, head.token_file),
                    *("--name", name, "--cpus", str(cpu)),
                )
            )
            for name, cpu in (("one", cpus()[0]), ("two", cpus()[-1]))
        )
        for device in (one, two):
            device.says("joined the fleet")
        yield one, two


def processes(device: Join, words: str) -> list[psutil.Process]:
    """The processes of a device whose command line or title has some words."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        if words in " ".join(each.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                if each.environ().get("ODLLM_STATE_DIR") == str(device.state):
                    found.append(each)
    return found


def mark(device: Join) -> str:
    (note,) = device.state.rglob("node.json")
    return note.read_text("utf-8").split('"mark": "')[1].split('"')[0]


def measures(device: Join) -> bool:
    return bool(processes(device, MEASURING))


def journals(*devices: Join) -> list[Path]:
    return [path for device in devices for path in device.state.rglob("*.entry")]


def keeps_a_result(device: Join) -> bool:
    return any('"measured":{' in path.read_text("utf-8") for path in journals(device))


def test_a_sweep_comes_through_a_killed_agent_raylet_and_controller(
    bench: Bench, devices: tuple[Join, Join]
) -> None:
    one, two = devices
    with bench.started(*SLOW) as first:
        eventually(lambda: measures(one) and measures(two))

        second = bench.run(*SLOW)
        assert second.status == 1, second.out
        assert f"in use by a run of process {first.pid}" in second.err

        agent = eventually(lambda: processes(one, MEASURING))[0].parent()
        assert agent is not None
        agent.kill()
        eventually(lambda: measures(one) and not family.lives(agent))
        os.kill(first.pid, signal.SIGKILL)
    # What the agents were doing goes on without a controller, and stays with them.
    eventually(lambda: not measures(one) and not measures(two) and keeps_a_result(two))
    (raylet,) = [each for each in tagged.marked(mark(two)) if each.name() == "raylet"]
    raylet.kill()

    last = bench.run(*SLOW)
    assert last.status == 0, last.out + last.err
    results = bench.query("SELECT device, device_kind, status, rounds FROM results ORDER BY ALL")
    assert results.to_numpy().tolist() == [
        [name, "virtual", "done", 1] for name in ("one", "one", "two", "two")
    ]
    rounds = bench.query("SELECT trial_id, run_id FROM rounds")
    assert len(rounds) == 4, "nothing lost, nothing twice"
    runs = bench.query("SELECT run_id, status FROM runs ORDER BY started_at")
    assert runs["status"].tolist() == ["abandoned", "done"]
    assert runs["run_id"].iloc[0] in set(rounds["run_id"]), "what was kept is the first run's"
    assert journals(one, two) == []
    kinds = set(bench.query("SELECT kind FROM events")["kind"])
    assert {"joined", "left", "dispatched", "stored"} <= kinds


def test_a_device_that_is_lost_for_good_is_held_with_the_reason_and_not_waited_for(
    bench: Bench, devices: tuple[Join, Join]
) -> None:
    one, two = devices
    with bench.started(*SLOW, "fleet.grace_s=5") as running:
        eventually(lambda: measures(one) and measures(two))
        two.process.kill()
        for each in tagged.marked(mark(two)):
            with contextlib.suppress(psutil.Error):
                each.kill()
        out, err = running.communicate(timeout=2 * family.PATIENCE_S)
    assert running.returncode == 3, out + err
    assert "held: two (virtual): " in out
    results = bench.query("SELECT device, status, hold_reason FROM results ORDER BY ALL")
    assert results["device"].tolist() == ["one", "one", "two", "two"]
    assert results["status"].tolist() == ["done", "done", "held", "held"]
    assert results["hold_reason"].iloc[:2].isna().all()
    assert results["hold_reason"].iloc[2:].notna().all()
    assert len(bench.query("SELECT * FROM events WHERE kind = 'held'")) == 1

    # The next run counts it as away from the start, and has nothing else to do.
    again = bench.run(*SLOW, "fleet.grace_s=1")
    assert again.status == 3, again.out + again.err
    assert "held: two (virtual): it is not in the fleet" in again.out


def test_devices_are_chosen_and_a_choice_of_none_says_what_there_is(
    bench: Bench, devices: tuple[Join, Join]
) -> None:
    quick = (*SLOW, "repeats.at_least=1", "repeats.at_most=1", "workloads.short.output_tokens=8")
    none = bench.run(*quick, "fleet.select='cores > 4000'")
    assert none.status == 2, none.out + none.err
    assert "fleet.select='cores > 4000' chooses no device" in none.err
    for name in ("one", "two"):
        assert f"{name}: ram_gb=" in none.err
    some = bench.run(*quick, "fleet.select=\"name == 'two'\"")
    assert some.status == 0, some.out + some.err
    assert set(bench.query("SELECT device FROM results")["device"]) == {"two"}
