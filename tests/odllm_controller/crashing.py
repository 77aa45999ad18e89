"""Workers that really crash: an engine that was built wrongly for the types of some models."""

import os
from collections.abc import Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]

# Python imports it at its start. It reads address 0 once the order names one of the types.
_SITECUSTOMIZE = """\
import ctypes
import sys

if "odllm_agent.trials.worker" in sys.orig_argv and sys.orig_argv[-1] != "rehearse":
    readline = sys.stdin.readline

    def crashing():
        order = readline()
        if any(f'"quantization":"{{kind}}"' in order for kind in {types!r}):
            sys.stderr.write("load_tensors: a buffer of 12.5 MiB\\n" * 5)
            sys.stderr.flush()
            ctypes.string_at(0)
        return order

    sys.stdin.readline = crashing
"""


def crashing_at(types: Sequence[str], folder: Path) -> dict[str, str]:
    """The environment in which workers crash at these types.

    Args:
        types: The types.
        folder: Where what crashes them may lie.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(types=tuple(types)))
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(_REPOSITORY)))}
