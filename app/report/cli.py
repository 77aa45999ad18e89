"""The command line of the report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.files.typed_path import STANDARD
from odllm_agent.terminal.program import STORE, TYPED_PATH, StorePath, program
from odllm_agent.terminal.program import run as carried_out
from odllm_agent.terminal.visible import visible_lines
from odllm_app.report.page import render
from odllm_controller.analysis.queries import account, results

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


app = program(_NAME, examples=_EXAMPLES)


@app.default
def _report(
    run: Annotated[str | None, "RUN"] = None,
    /,
    *,
    out: Annotated[Path, TYPED_PATH, "F"] = _OUT,
    store: StorePath = STORE,
) -> int:
    """Write one HTML page of a run.

    Args:
        run: the latest if not given
        out: where it goes
        store: where the results are
    """
    found = account.find(store, run)
    _write(out, render(account.load(store, found), results.load(store, found)))
    print(f"{out}: run {found}", file=sys.stderr if out == STANDARD else sys.stdout)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Writes the page.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status: 0 done, 1 no readable store, 2 wrong usage.
    """
    try:
        return carried_out(app, arguments)
    except OdllmError as error:
        print(f"{_NAME}: {visible_lines(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


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
