"""The command line of the explorer: `python -m app`, behind `odllm explore`."""

import argparse
import sys
from pathlib import Path

from app.serve import PORT, explore
from odllm_agent.errors import OdllmError
from odllm_agent.visible import visible_lines

_EXAMPLES = """\
examples:
  odllm explore
  odllm explore --store results/laptops.duckdb --port 8600
  odllm explore --headless          on a machine without a browser
"""


def main(arguments: list[str] | None = None) -> int:
    """Opens the explorer on a store.

    Args:
        arguments: What follows the command's name, or `None` for this process's own.

    Returns:
        The exit status: 0 done, 2 wrong usage or no readable store.
    """
    parser = argparse.ArgumentParser(
        prog="odllm explore",
        description="Show what is in a store, in the browser of this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--store",
        type=Path,
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
        print(f"odllm explore: {visible_lines(str(error))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
