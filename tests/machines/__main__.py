"""`python -m tests.machines`: the smoke experiment on processors and builds that are not here."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.machines.machine import CHECKOUT
from tests.machines.outcome import Outcome, Scores
from tests.machines.smoke import Stuck, smoke
from tests.machines.workshop import FIRST, NAMES, Workshop

_EXAMPLES = """\
examples:
  python -m tests.machines                            all that there are emulators, compilers for
  python -m tests.machines --only nehalem gcc-11      two, and the build that they are held against
  python -m tests.machines --wheels /var/tmp/wheels   with wheels that were compiled before

It needs root on an x86-64 Linux. Debian's packages qemu-user-static, debootstrap and
g++-aarch64-linux-gnu bring the emulated processors, g++-11, g++-12 and clang-14 the compilers. A
wheel that is not there is compiled, which takes ten minutes or more.
Exit status: 0 all of them did what they must, 1 one did not, 2 wrong usage.
"""


def main() -> int:
    """Runs the smoke experiment on machine after machine and prints what came of it.

    Returns:
        The exit status.
    """
    options = _parser().parse_args()
    if os.geteuid():
        sys.stderr.write("python -m tests.machines: only root can give a process another cpuinfo\n")
        return 2
    workshop = Workshop(options.folder.absolute(), options.wheels.absolute())
    n_wrong, here = 0, None
    for name in (FIRST, *(name for name in options.only or NAMES if name != FIRST)):
        outcome, wrongs = _tried(name, workshop, here)
        here = here or (outcome.scores if outcome else None)
        n_wrong += bool(wrongs)
        _tell(name, outcome, wrongs)
    return 1 if n_wrong else 0


def _tried(
    name: str, workshop: Workshop, here: Scores | None
) -> tuple[Outcome | None, tuple[str, ...]]:
    """What came of a machine, if anything, and what is wrong with it."""
    missing = workshop.missing(name)
    if missing:
        print(f"{name}: not run, for there is no {missing}", flush=True)
        return None, ()
    try:
        machine = workshop.machine(name)
        outcome = smoke(machine, workshop.folder / "machines.duckdb")
    except (Stuck, subprocess.CalledProcessError) as error:
        return None, (str(error),)
    return outcome, (*machine.wrongs(), *outcome.wrongs(here))


def _tell(name: str, outcome: Outcome | None, wrongs: tuple[str, ...]) -> None:
    if outcome:
        print(f"{name}: {_told(outcome)}", flush=True)
        for fault in outcome.faults:
            print(f"{name}: does not work there: {fault}", flush=True)
    for wrong in wrongs:
        print(f"{name}: wrong: {wrong}", flush=True)


def _told(outcome: Outcome) -> str:
    tests = outcome.build.tests if outcome.build else ()
    return (
        f"{outcome.cpu}, {outcome.measured} of {outcome.planned} rounds, {len(outcome.scores)} "
        f"scores, {len(tests)} types on a path tried, {len(outcome.faults)} faults"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.machines",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    results = CHECKOUT / "results/machines"
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--folder", type=Path, default=results, help="where everything is made")
    parser.add_argument("--wheels", type=Path, default=results / "wheels")
    return parser


if __name__ == "__main__":
    sys.exit(main())
