"""The agent's command line: `odllm-agent`."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from odllm_agent import device, worker
from odllm_agent.cache import Cache
from odllm_agent.commands import (
    DONE,
    FAULT,
    INTERRUPTED,
    SOME_FAILED,
    WRONG_USAGE,
    doctor,
    install_service,
    join,
    models,
)
from odllm_agent.contract import Measurement, from_json, to_json
from odllm_agent.errors import OdllmError, UsageError

_EXAMPLES = """\
examples:
  odllm-agent describe                            what this device is, as JSON
  odllm-agent run trials.jsonl                    measure, results to standard output
  odllm-agent run trials.jsonl --out results.jsonl
  odllm-agent models list                         the models in this device's cache
  odllm-agent doctor                              what can be measured here, and what is in the way
  odllm-agent join HOST --token-file F            take part in a fleet

trials.jsonl holds one measurement per line, as the contract writes it (odllm_agent.contract,
`to_json(Measurement(...))`); each result is one line too. Neither Ray nor a network is needed.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command of the agent.

    Returns:
        The exit status: 0 done, 1 a fault or a check not met, 2 wrong usage, 3 some trials failed,
        130 interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except OdllmError as error:
        sys.stderr.write(f"odllm-agent: {error}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT
    except KeyboardInterrupt:
        sys.stderr.write("odllm-agent: interrupted\n")
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="odllm-agent",
        description="Measures language models on this device.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    describe = commands.add_parser("describe", help="tell what this device is, as JSON")
    describe.set_defaults(command=_describe)
    run = commands.add_parser("run", help="measure the trials of a file, without Ray or network")
    run.add_argument("trials", type=Path, help="a file with one measurement per line")
    run.add_argument("--out", type=Path, help="where the results go; standard output unless told")
    run.set_defaults(command=_run)
    models.add_to(commands)
    doctor.add_to(commands)
    join.add_to(commands)
    install_service.add_to(commands)
    return parser


def _describe(_: argparse.Namespace) -> int:
    sys.stdout.write(to_json(device.describe()) + "\n")
    return DONE


def _run(options: argparse.Namespace) -> int:
    orders = _read_orders(options.trials)
    cache = Cache.of_this_device()
    for order in orders:
        cache.hold(order.trial.model.sha256)
    failed = 0
    with _output(options.out) as out:
        for place, order in enumerate(orders, start=1):
            model = order.trial.model
            sys.stderr.write(f"{place}/{len(orders)} {model.label}\n")
            result = worker.run_round(order)
            out.write(to_json(result) + "\n")
            out.flush()
            if result.failure:
                failed += 1
                sys.stderr.write(f"  {result.failure.message}\n  {result.failure.remedy}\n")
    return SOME_FAILED if failed else DONE


def _output(path: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    if path is None:
        return contextlib.nullcontext(sys.stdout)
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}", "name another file") from error


def _read_orders(path: Path) -> list[Measurement]:
    """The measurements of a file, addressed to this device.

    Raises:
        UsageError: There is no such file, or a line of it is no measurement.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}", "name a file of measurements") from error
    here = device.describe(meters=()).id
    orders = []
    for number, line in enumerate(lines, start=1):
        try:
            order = from_json(Measurement, line)
        except (ValueError, TypeError, AttributeError) as error:
            raise UsageError(
                f"line {number} of {path} is no measurement: {error}",
                "each line is what odllm_agent.contract.to_json gives",
            ) from error
        orders.append(replace(order, trial=replace(order.trial, device_id=here)))
    return orders


if __name__ == "__main__":
    sys.exit(main())
