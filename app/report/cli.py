"""The command line of the report."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.files.typed_path import STANDARD, typed_path
from odllm_agent.terminal.arguments import Parser
from odllm_agent.terminal.visible import visible_lines
from odllm_app.report.page import render
from odllm_controller.analysis.queries import account, results

_STORE = Path("results/odllm.duckdb")
_OUT = Path("report.html")
_NAME = "odllm report"
_EXAMPLES = """\
examples:
  odllm report                                      the latest run, into report.html
  odllm report 20261124T143000-4fa2c1 --out sweep.html --store results/laptops.duckdb
  odllm report --out - > report.html                to standard output

The page holds everything: the answer, the charts, the figures, what failed, the method and the
devices. It can be sent, printed and kept. Exit status: 0 done, 1 no readable store, 2 wrong usage.
"""


def main(arguments: Sequence[str]) -> int:
    """Writes the page.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status: 0 done, 1 no readable store, 2 wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        run = account.find(options.store, options.run)
        page = render(account.load(options.store, run), results.load(options.store, run))
        _write(options.out, page)
    except OdllmError as error:
        print(f"{_NAME}: {visible_lines(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(f"{options.out}: run {run}", file=sys.stderr if options.out == STANDARD else sys.stdout)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_NAME,
        description="Write one HTML page of a run.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="the latest unless told")
    parser.add_argument("--out", type=typed_path, default=_OUT, metavar="F", help="(%(default)s)")
    parser.add_argument(
        "--store", type=typed_path, default=_STORE, metavar="F", help="(%(default)s)"
    )
    return parser


def _write(out: Path, page: str) -> None:
    if out == STANDARD:
        sys.stdout.write(page)
        return
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", "name another file with --out"
        ) from error
