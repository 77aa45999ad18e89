"""`python -m odllm_app.report`, behind `odllm report`."""

import sys

from odllm_agent.terminal.ending import Command, carried_out


def main() -> int:
    """Writes the page that this process was started for.

    Returns:
        The exit status.
    """
    return carried_out("odllm report", _load)


def _load() -> Command:
    from odllm_app.report import cli  # noqa: PLC0415 - takes seconds, in which signals come too

    return cli.main


if __name__ == "__main__":
    sys.exit(main())
