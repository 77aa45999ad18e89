"""The agent's command line."""

import argparse
import sys
from collections.abc import Sequence

from odllm_agent.commands import (
    DONE,
    FAULT,
    WRONG_USAGE,
    doctor,
    install_service,
    join,
    models,
    power_log,
    run,
    serve,
)
from odllm_agent.contract import to_json
from odllm_agent.doctor import device
from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.terminal.arguments import Parser
from odllm_agent.terminal.visible import visible_lines

_NAME = "odllm-agent"
_EXAMPLES = """\
examples:
  odllm-agent describe --out laptop.json          what this device is, for `odllm plan`
  odllm-agent run trials.json --out results.jsonl what was planned for it, without Ray or network
  odllm-agent models list                         the models in this device's cache
  odllm-agent doctor                              what can be measured here, and what is in the way
  your-reader | odllm-agent power-log power.csv   what a meter at the wall says, for `external`
  odllm-agent join HOST --token-file F            take part in a fleet
"""


def main(arguments: Sequence[str]) -> int:
    """Runs a command of the agent.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status: 0 done, 1 a fault or a check not met, 2 wrong usage, 3 some trials failed,
        130 or 143 ended by Ctrl-C or SIGTERM.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except OdllmError as error:
        sys.stderr.write(f"{_NAME}: {visible_lines(str(error))}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_NAME, description="Measures language models on this device.", epilog=_EXAMPLES
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    describe = commands.add_parser("describe", help="tell what this device is, as JSON")
    describe.add_argument(
        "--out", type=typed_path, help="a file to write; standard output unless told"
    )
    describe.set_defaults(command=_describe)
    run.add_to(commands)
    models.add_to(commands)
    doctor.add_to(commands)
    power_log.add_to(commands)
    join.add_to(commands)
    install_service.add_to(commands)
    serve.add_to(commands)
    return parser


def _describe(options: argparse.Namespace) -> int:
    told = to_json(device.describe()) + "\n"
    if options.out is None:
        sys.stdout.write(told)
        return DONE
    try:
        options.out.write_text(told, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {options.out}: {error}", "name another file") from error
    return DONE
