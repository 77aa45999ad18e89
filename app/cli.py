"""The command line of the explorer."""

import sys

from odllm_agent.errors import OdllmError
from odllm_agent.terminal.program import STORE, StorePath, Whole, program, run
from odllm_agent.terminal.visible import visible_lines
from odllm_app.shell.serve import PORT, explore

_NAME = "odllm explore"
_EXAMPLES = """\
examples:
  odllm explore
  odllm explore --store results/laptops.duckdb --port 8600
  odllm explore --headless          on a machine without a browser
"""


app = program(_NAME, examples=_EXAMPLES)


@app.default
def _explore(*, store: StorePath = STORE, port: Whole = PORT, headless: bool = False) -> int:
    """Show what is in a store, in the browser of this machine.

    Args:
        store: the results file
        port: where to listen
        headless: do not open a browser
    """
    return explore(store, port, headless=headless)


def main(arguments: list[str]) -> int:
    """Opens the explorer on a store.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status: 0 done, 2 wrong usage or no readable store.
    """
    try:
        return run(app, arguments)
    except OdllmError as error:
        print(f"{_NAME}: {visible_lines(str(error))}", file=sys.stderr)
        return 2
