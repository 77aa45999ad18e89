"""The command line of the explorer."""

import sys
from pathlib import Path

from odllm_agent.errors import OdllmError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.terminal.arguments import Parser
from odllm_agent.terminal.visible import visible_lines
from odllm_app.shell.serve import PORT, explore

_NAME = "odllm explore"
_EXAMPLES = """\
examples:
  odllm explore
  odllm explore --store results/laptops.duckdb --port 8600
  odllm explore --headless          on a machine without a browser
"""


def main(arguments: list[str]) -> int:
    """Opens the explorer on a store.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status: 0 done, 2 wrong usage or no readable store.
    """
    parser = Parser(
        prog=_NAME,
        description="Show what is in a store, in the browser of this machine.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "--store",
        type=typed_path,
        default=Path("results/odllm.duckdb"),
        metavar="FILE",
        help="the results file (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="where to listen (default: %(default)s)"
    )
    parser.add_argument("--headless", action="store_true", help="do not open a browser")
    chosen = parser.parse_args(arguments)
    try:
        return explore(chosen.store, chosen.port, headless=chosen.headless)
    except OdllmError as error:
        print(f"{_NAME}: {visible_lines(str(error))}", file=sys.stderr)
        return 2
