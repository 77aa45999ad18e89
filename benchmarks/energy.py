"""`python -m benchmarks.energy`: what metering costs, and how right it is above a known power.

The kernel's files are rebuilt and driven in a mount namespace of their own, so it needs root and no
sensor. Exit status: 0 all limits met or nothing could be mounted, 1 a limit is not met.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import turns
from benchmarks.comparison import trial
from benchmarks.load import watched
from benchmarks.spread import Spread
from benchmarks.subject import default_names, subjects
from odllm_agent import engines
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Phase, Trial, from_json, to_json
from odllm_agent.doctor import device
from odllm_agent.engines.base import Session
from odllm_agent.errors import EngineError
from odllm_agent.meters import energies, open_meters
from odllm_agent.meters.sampler import SAMPLER, Sampler, spare_cpu
from tests import driven
from tests.odllm_agent.meters import powercap

LEAST_RATIO = 0.995
MOST_APART = 0.01

_PAIRS = 30
# Each side decodes for about a second, so that the sampler wakes some twenty times in it.
_LEAST_TOKENS, _MOST_TOKENS = 32, 2048
_WATTS = 28.0
# 100 J: at 28 W a turn takes 3.6 s, and the longest window holds two.
_RANGE_UJ = 100_000_000
_WINDOWS_S = (1.0, 2.0, 4.0, 8.0)
_TIMES = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Decode speeds of one loaded model, and what disturbed them.

    Attributes:
        metered_tok_s: With the meters read.
        unmetered_tok_s: Without.
        sampler_share: CPU seconds of the thread that reads them, per second of decoding: it holds
            the engine up by no more, since it waits for nothing that the engine does.
        flags: What disturbed the two.
    """

    metered_tok_s: float
    unmetered_tok_s: float
    sampler_share: float
    flags: tuple[str, ...]


def main() -> int:
    """Measures both, prints them, and says which limits are not met."""
    out = Console(highlight=False)
    if not driven.may_mount():
        out.print("Energy: not measured, a driven tree needs root and a private mount namespace")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tree = powercap.build(Path(folder, "class"), range_uj=_RANGE_UJ)
        unmet = _told_windows(out, tree)
        for name in default_names():
            unmet += _told_cost(out, tree, name)
    for line in unmet:
        out.print(f"not met: {line}", style="bold red")
    return int(bool(unmet))


def _told_windows(out: Console, tree: Path) -> list[str]:
    """The energy of windows of several lengths, beside what plain pyRAPL makes of them."""
    with driven.drawing(tree, _WATTS):
        windows = _within(tree, "windows")
    out.print(f"Energy of a package that draws {_WATTS:g} W, its counter starting over at 100 J")
    unmet = []
    for window in windows:
        true_j = _WATTS * window["seconds"]
        ours = _apart(window["ours_j"], true_j)
        out.print(
            f"  {window['seconds']:.2f} s, {true_j:6.1f} J: ODLLM {_percent(ours)}, "
            f"pyRAPL {_percent(_apart(window['theirs_j'], true_j))}, "
            f"whole turns of the counter: {window['turns']}"
        )
        if ours is None or abs(ours) > MOST_APART:
            unmet.append(f"a window of {window['seconds']:.2f} s is off by {_percent(ours)}")
    return unmet


def _told_cost(out: Console, tree: Path, name: str) -> list[str]:
    """The speed of decoding with the meters read and without, in turn."""
    here = device.describe()
    (subject,) = subjects((name,))
    asked = trial(subject.model, here, "llama_cpp", threads=here.physical_cores)
    pairs = [Pair(**found) for found in _within(tree, "decode", to_json(asked))]
    counted = turns.counted(pairs)
    ratio = Spread.of([pair.metered_tok_s / pair.unmetered_tok_s for pair in counted])
    share = Spread.of([pair.sampler_share for pair in counted])
    out.print(f"{name}: metered / unmetered decode {turns.told(ratio, pairs, digits=4)}")
    out.print(f"  the thread that reads the meters takes {100 * share.median:.2f} % of a CPU")
    if ratio.median >= LEAST_RATIO:
        return []
    return [f"{name}: metering leaves {ratio.median:.4f} of the speed, wanted {LEAST_RATIO}"]


def _within(tree: Path, *arguments: str) -> list[dict[str, Any]]:
    """What one of the functions below finds where the tree is the system's."""
    command = driven.within(tree, [sys.executable, "-m", "benchmarks.energy", *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise EngineError(f"{arguments[0]} failed: {done.stderr[-2000:]}", "see above")
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def windows() -> list[dict[str, Any]]:
    """Windows metered by ODLLM and by pyRAPL at the same edges."""
    import pyRAPL  # noqa: PLC0415 - it warns of what it does not find

    pyRAPL.setup(devices=[pyRAPL.Device.PKG])
    plain = pyRAPL.Measurement("window")
    with Sampler(open_meters(("rapl",))) as sampler:
        return [_window(sampler, plain, seconds) for seconds in _WINDOWS_S for _ in range(_TIMES)]


def _window(sampler: Sampler, plain: Any, seconds: float) -> dict[str, Any]:
    plain.begin()
    sampler.begin()
    time.sleep(seconds)
    window = sampler.cut()
    plain.end()
    figures = energies(Phase.IDLE, sampler.meters, *window)
    energy = next(each for each in figures if each.domain == "package")
    window_s = energy.window_s or seconds
    return {
        "seconds": window_s,
        "ours_j": energy.energy_j,
        "theirs_j": plain.result.pkg[0] / 1e6 if plain.result.pkg else None,
        "turns": int(_WATTS * window_s * 1e6 / _RANGE_UJ),
    }


def decode(asked: str) -> list[dict[str, Any]]:
    """Decode speeds with the meters read and without, in turn, on one loaded model."""
    subject = from_json(Trial, asked)
    threads = int(subject.engine.settings["threads"])
    with engines.load(subject.engine, subject.model, 1 + _MOST_TOKENS) as session:
        speed = _decoded_tok_s(session, _LEAST_TOKENS)
        n_tokens = max(_LEAST_TOKENS, min(_MOST_TOKENS, int(speed)))
        return [_pair(session, n_tokens, threads, turn % 2 == 0) for turn in range(_PAIRS)]


def _pair(session: Session, n_tokens: int, threads: int, metered_first: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with watched() as disturbance:
        for metered in (metered_first, not metered_first):
            if metered:
                found |= _metered(session, n_tokens, threads)
            else:
                found["unmetered_tok_s"] = _decoded_tok_s(session, n_tokens)
    return {**found, "flags": disturbance.flags}


def _metered(session: Session, n_tokens: int, threads: int) -> dict[str, float]:
    with Sampler(open_meters(("auto",)), spare_cpu(threads)) as sampler:
        sampler.begin()
        cpu_s, start = _sampler_cpu_s(), monotonic_ns()
        speed = _decoded_tok_s(session, n_tokens)
        share = (_sampler_cpu_s() - cpu_s) / seconds_since(start)
        sampler.cut()
    return {"metered_tok_s": speed, "sampler_share": share}


def _sampler_cpu_s() -> float:
    """CPU seconds of the sampler's thread so far (Documentation/scheduler/sched-stats.rst)."""
    (thread,) = (each for each in threading.enumerate() if each.name == SAMPLER)
    ran_ns = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]
    return int(ran_ns) / 1e9


def _decoded_tok_s(session: Session, n_tokens: int) -> float:
    session.reset()
    session.fill([1])
    return n_tokens / sum(session.decode([2] * n_tokens))


def _apart(found_j: float | None, true_j: float) -> float | None:
    return None if found_j is None else found_j / true_j - 1


def _percent(share: float | None) -> str:
    return "no figure" if share is None else f"{100 * share:+.2f} %"


_SCENARIOS: Mapping[str, Callable[..., list[dict[str, Any]]]] = {
    "windows": windows,
    "decode": decode,
}


def _scenario(arguments: Sequence[str]) -> int:
    name, *rest = arguments
    sys.stdout.write("\n" + json.dumps(_SCENARIOS[name](*rest)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_scenario(sys.argv[1:]) if len(sys.argv) > 1 else main())
