"""The program `odllm-agent`, or `python -m odllm_agent`."""

import sys

from odllm_agent.terminal.ending import Command, carried_out


def main() -> int:
    """Runs the command that this process was started for.

    Returns:
        The exit status.
    """
    return carried_out("odllm-agent", _load)


def _load() -> Command:
    from odllm_agent import cli  # noqa: PLC0415 - takes seconds, in which signals come too

    return cli.main


if __name__ == "__main__":
    sys.exit(main())
