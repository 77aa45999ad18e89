"""Strikes running sweeps with one fault after another, and checks that nothing is lost or doubled.

python -m tests.fleet.chaos --seed 1 --faults 50     what `make chaos` runs
python -m tests.fleet.chaos --seed 1 --only 17       the fault with that number alone
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.fleet.faults import FAULTS, Draw
from tests.fleet.fleet import Fleet
from tests.fleet.network import network, why_not
from tests.fleet.strike import DONE, Outcome, strike

_DEVICES = ("ada", "bob")
_CALM_TIMEOUT_S = 300
_PREFIX = "odllm-fleet-"


def main() -> int:
    """The command line."""
    options = _options()
    reason = why_not()
    if reason:
        sys.stderr.write(f"chaos: {reason}\n")
        return 1
    numbers = [options.only] if options.only is not None else range(options.first, options.faults)
    print(f"seed {options.seed}", flush=True)
    outcomes = dict(_strike_all(options.seed, numbers))
    print(_summary(outcomes))
    return 1 if any(outcome.wrongs for _, outcome in outcomes.values()) else 0


def _strike_all(seed: int, numbers: Sequence[int]) -> Iterator[tuple[int, tuple[Draw, Outcome]]]:
    """Strikes with the faults of some numbers; after one that went wrong the fleet is a new one."""
    left = list(numbers)
    while left:
        with fleet_of(_DEVICES) as fleet:
            calm_s = _calm(fleet)
            print(f"a calm sweep takes {calm_s:.1f} s", flush=True)
            while left:
                number = left.pop(0)
                draw = Draw.nth(seed, number, len(_DEVICES))
                outcome = strike(fleet, draw, calm_s, f"fault-{number}")
                print(f"{number:3} {draw.name:24} {_DEVICES[draw.device]} {outcome}", flush=True)
                yield number, (draw, outcome)
                if outcome.wrongs:
                    _keep_logs(fleet, seed, number)
                    break


@contextlib.contextmanager
def fleet_of(devices: Sequence[str]) -> Iterator[Fleet]:
    """A fleet that is up, with every device in it, in folders that go with it."""
    _clear_up_after_the_dead()
    prefix = f"{_PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, network() as switch:
        fleet = Fleet(switch, Path(folder), devices)
        fleet.up()
        for device in fleet.devices:
            fleet.join(device)
        yield fleet


def _clear_up_after_the_dead() -> None:
    """Removes the folders of fleets whose maker was killed; all else ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        if not psutil.pid_exists(int(folder.name.split("-")[2])):
            shutil.rmtree(folder, ignore_errors=True)


def _calm(fleet: Fleet) -> float:
    """How long a sweep takes that nothing disturbs."""
    begun_s = time.monotonic()
    sweep = fleet.sweep(fleet.desk.results / "calm.duckdb")
    status = sweep.wait(_CALM_TIMEOUT_S)
    if status != DONE:
        raise RuntimeError(f"a calm sweep ended with {status}:\n{fleet.desk.said(sweep)}")
    return time.monotonic() - begun_s


def _keep_logs(fleet: Fleet, seed: int, number: int) -> None:
    """Copies what the hosts of a fault that went wrong have said, and its store."""
    kept = Path("results") / "chaos" / f"{seed}-{number}"
    for host in fleet.hosts:
        shutil.copytree(host.folder / "logs", kept / host.name, dirs_exist_ok=True)
    for store in fleet.desk.seen(fleet.desk.results).glob(f"fault-{number}-*.duckdb*"):
        shutil.copyfile(store, kept / store.name)
    print(f"    its logs and store are in {kept}", flush=True)


def _summary(outcomes: Mapping[int, tuple[Draw, Outcome]]) -> str:
    """A line for each fault: how often it struck and went wrong, and how long that took."""
    lines = [f"\n{'fault':24} {'n':>3} {'wrong':>5} {'starts':>6} {'longest':>8}"]
    for name in FAULTS:
        found = [outcome for draw, outcome in outcomes.values() if draw.name == name]
        if found:
            wrong = sum(bool(each.wrongs) for each in found)
            starts = max(len(each.statuses) for each in found)
            longest_s = max(each.took_s for each in found)
            lines.append(f"{name:24} {len(found):3} {wrong:5} {starts:6} {longest_s:6.0f} s")
    again = [str(number) for number, (_, outcome) in outcomes.items() if outcome.wrongs]
    return "\n".join([*lines, f"went wrong: {', '.join(again) or 'none'}"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fleet.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="what the faults are drawn from")
    parser.add_argument("--faults", type=int, default=50, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the number of the first (0)")
    parser.add_argument("--only", type=int, help="the number of the one fault to draw")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
