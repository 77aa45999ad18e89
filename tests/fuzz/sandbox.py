"""A place where everything that reads mutated files may do its worst."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from odllm_agent.meters.memory import peak_rss_bytes
from tests.fuzz.campaign import Campaign, Tally

# For the machine's sake: what a library asks for on a file's word must fail, not swap.
_ADDRESS_BYTES = 12 * 2**30


def run_apart(seed: int, numbers: Sequence[int], others_every: int) -> tuple[Tally, int]:
    """The tally of some mutations, and the peak resident set of the process that read them."""
    with tempfile.TemporaryDirectory(prefix="odllm-fuzz-") as folder:
        sandbox = Path(folder)
        os.environ |= surroundings(sandbox)
        tempfile.tempdir = None
        os.chdir(sandbox / "here")
        _bound_memory()
        tally = Campaign(seed, sandbox).run(numbers, others_every)
        os.chdir("/")
    return tally, peak_rss_bytes()


def surroundings(sandbox: Path) -> dict[str, str]:
    """The variables with which everything that a process writes lands in the sandbox."""
    for name in ("home", "tmp", "here"):
        (sandbox / name).mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(sandbox / "home"),
        "XDG_CACHE_HOME": str(sandbox / "home"),
        "TMPDIR": str(sandbox / "tmp"),
        "ODLLM_CACHE_DIR": str(sandbox / "cache"),
    }


def _bound_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has none

        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))
