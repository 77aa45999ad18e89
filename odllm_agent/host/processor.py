"""Which processor this is, down to its microcode."""

import platform
import re
import sys
from functools import cache
from pathlib import Path

from odllm_agent.files import small_files

# Of x86, and of Arm; what changes while it runs, such as its frequency, is not among it.
_TOLD = re.compile(
    r"^(vendor_id|cpu family|model|model name|stepping|microcode|flags|CPU implementer"
    r"|CPU architecture|CPU variant|CPU part|CPU revision|Features)\s*:\s*(.*)$",
    re.M,
)


@cache
def processor() -> str:
    """A text that is another for another processor, microcode or set of features."""
    if sys.platform != "linux":
        return f"{platform.machine()} {platform.processor()}"
    return identity(small_files.read_text(Path("/proc/cpuinfo")) or platform.machine())


def identity(cpuinfo: str) -> str:
    """The same by the text of /proc/cpuinfo.

    A processor may have cores of several kinds, which differ in these lines: each kind counts once.
    """
    return "\n".join(dict.fromkeys(f"{name}: {value}" for name, value in _TOLD.findall(cpuinfo)))
