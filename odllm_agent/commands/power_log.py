"""`odllm-agent power-log`: writes what a meter at the wall says to the file that is read from."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TextIO

from odllm_agent.clock import now
from odllm_agent.commands import DONE, FAULT
from odllm_agent.errors import UsageError
from odllm_agent.meters.external import Sample
from odllm_agent.terminal.program import TYPED_PATH, program

_EXAMPLES = """\
examples:
  your-reader | odllm-agent power-log /tmp/power.csv
  odllm run +experiment=sweep power=external power.path=/tmp/power.csv

Each line of standard input is `watts`, or `time,watts` with the time as seconds since 1970 or in
ISO 8601 with its time zone; a line without a time is given that of its coming. Empty lines and
those that begin with # are passed over. It goes on until standard input ends.
Exit status: 0 done, 1 some lines were neither and were left out.
"""


app = program("power-log", examples=_EXAMPLES)


@app.default
def power_log(path: Annotated[Path, TYPED_PATH, "file"], /) -> int:
    """Write what a meter at the wall says to a file, with times.

    What comes on standard input is written as a line `time,watts` each, as the power meter
    `external` reads it.

    Args:
        path: where the lines go; what it holds is kept
    """
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}", "name another file") from error
    with file:
        n_left_out = copy(sys.stdin, file, lambda line: sys.stderr.write(line + "\n"))
    return FAULT if n_left_out else DONE


def copy(lines: Iterable[str], file: TextIO, complain: Callable[[str], object]) -> int:
    """Copies samples as they come, each with its time.

    Args:
        lines: `watts` or `time,watts` each.
        file: Where they go.
        complain: Is told of each line that is neither.

    Returns:
        How many lines were neither.
    """
    n_left_out = 0
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        try:
            sample = Sample.parse(line if "," in line else f"{now().timestamp()},{line}")
        except ValueError as error:
            complain(f"left out: {error}")
            n_left_out += 1
            continue
        file.write(f"{sample.at_s:.6f},{sample.watts}\n")
        file.flush()
    return n_left_out
