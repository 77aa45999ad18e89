"""`python -m benchmarks.bandwidth`: the read ceiling beside a loop in C, built on the spot."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import turns
from benchmarks.load import watched
from benchmarks.spread import Spread
from odllm_agent.engines.bandwidth import BUFFER_BYTES, read_bytes_per_s
from odllm_agent.errors import EngineError, OdllmError
from odllm_agent.host import state
from odllm_controller.cli.table import console

LEAST_RATIO = 0.9

_SOURCE = Path(__file__).with_name("read_loop.c")
_OPTIONS = ("-O3", "-march=native", "-ffast-math", "-pthread")
_BUDGET_S = 0.5
_GB = 1e9
_DONE, _LIMIT_NOT_MET = 0, 1


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, measured right after each other, in bytes read per second.

    Attributes:
        ours_per_s: ODLLM's ceiling.
        theirs_per_s: The loop's best pass.
        flags: What disturbed the pair, such as `busy`.
    """

    ours_per_s: float
    theirs_per_s: float
    flags: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures both sides in turn and tells their ratio.

    Returns:
        The exit status: 0 the ratio is as wanted, 1 it is not, or a fault.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bandwidth", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10, help="pairs per number of threads (10)")
    options = parser.parse_args(arguments)
    out = console()
    try:
        with tempfile.TemporaryDirectory() as folder:
            loop = build(Path(folder))
            ratios = [
                _told(out, threads, list(_pairs(loop, threads, options.pairs)))
                for threads in sorted({1, state.logical_cores()})
            ]
    except OdllmError as error:
        Console(stderr=True).print(f"benchmarks: {error}", markup=False)
        return _LIMIT_NOT_MET
    return _DONE if min(ratios) >= LEAST_RATIO else _LIMIT_NOT_MET


def build(folder: Path) -> Path:
    """The loop, ready to run.

    Raises:
        EngineError: There is no C compiler, or it fails.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise EngineError("there is no C compiler", "install one, such as with apt install gcc")
    program = folder / "read_loop"
    command = [compiler, *_OPTIONS, str(_SOURCE), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise EngineError(f"{_SOURCE.name} cannot be built: {done.stderr.strip()[-500:]}")
    return program


def loop_bytes_per_s(program: Path, threads: int, n_bytes: int, budget_s: float) -> float:
    """Bytes per second of the loop's best pass."""
    command = [str(program), str(threads), str(n_bytes), str(budget_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - no shell
    return float(done.stdout.split()[0])


def _pairs(program: Path, threads: int, pairs: int) -> Iterator[Pair]:
    def theirs() -> float:
        return loop_bytes_per_s(program, threads, BUFFER_BYTES, _BUDGET_S)

    def ours() -> float:
        return read_bytes_per_s(threads, state.available_bytes(), _BUDGET_S)

    for number in range(pairs):
        with watched() as disturbance:
            if number % 2:
                loop, ceiling = theirs(), ours()
            else:
                ceiling, loop = ours(), theirs()
        yield Pair(ceiling, loop, disturbance.flags)


def _told(out: Console, threads: int, pairs: list[Pair]) -> float:
    """Tells how the sides compare, and gives the median of their ratios."""
    counted = turns.counted(pairs)
    ratio = Spread.of([pair.ours_per_s / pair.theirs_per_s for pair in counted])
    ours = max(pair.ours_per_s for pair in counted) / _GB
    theirs = max(pair.theirs_per_s for pair in counted) / _GB
    out.print(
        f"read, {threads} threads: best {ours:.1f} GB/s, the loop in C {theirs:.1f}, ratio "
        f"{turns.told(ratio, pairs)}; wanted {LEAST_RATIO:g} or more"
    )
    return ratio.median


if __name__ == "__main__":
    sys.exit(main())
