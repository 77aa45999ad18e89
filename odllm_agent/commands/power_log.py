"""`odllm-agent power-log`: writes what a meter at the wall says to the file that is read from."""

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from odllm_agent.clock import now
from odllm_agent.commands import DONE, FAULT
from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.meters.external import Sample

_EXAMPLES = """\
examples:
  your-reader | odllm-agent power-log /tmp/power.csv
  odllm run +experiment=sweep power=external power.path=/tmp/power.csv

Each line of standard input is `watts`, or `time,watts` with the time as seconds since 1970 or in
ISO 8601 with its time zone; a line without a time is given that of its coming. Empty lines and
those that begin with # are passed over. It goes on until standard input ends.
Exit status: 0 done, 1 some lines were neither and were left out.
"""


def add_to(commands: Any) -> None:
    """Adds the command to those of the agent.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` gave.
    """
    parser = commands.add_parser(
        "power-log",
        help="write what a meter at the wall says to a file, with times",
        description="Writes what a meter at the wall says on standard input to a file, a line "
        "`time,watts` each as it comes, for the power meter `external`.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("file", type=typed_path, help="where the lines go; what it holds is kept")
    parser.set_defaults(command=_power_log)


def _power_log(options: argparse.Namespace) -> int:
    try:
        file = options.file.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {options.file}: {error}", "name another file") from error
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
