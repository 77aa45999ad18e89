"""The agent's command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
from odllm_agent.terminal import program
from odllm_agent.terminal.program import TYPED_PATH
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
    try:
        return program.run(app, arguments)
    except OdllmError as error:
        sys.stderr.write(f"{_NAME}: {visible_lines(str(error))}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT


app = program.program(_NAME, "Measures language models on this device.", _EXAMPLES)


@app.command
def describe(*, out: Annotated[Path | None, TYPED_PATH] = None) -> int:
    """Tell what this device is, as JSON.

    Args:
        out: a file to write; standard output if not given
    """
    told = to_json(device.describe()) + "\n"
    if out is None:
        sys.stdout.write(told)
        return DONE
    try:
        out.write_text(told, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error}", "name another file") from error
    return DONE


for _command in (run, models, doctor, power_log, join, install_service, serve):
    app.command(_command.app)
