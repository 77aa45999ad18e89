"""`odllm advise`: which configurations to choose on a device under limits, and how sure that is."""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.terminal.arguments import Parser
from odllm_controller.analysis import prediction
from odllm_controller.analysis.advice import limits, objective, rerun
from odllm_controller.analysis.advice.advice import Advice, Question, advise
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.analysis.advice.objective import QUALITY, Objective
from odllm_controller.analysis.advice.rerun import RunRequest
from odllm_controller.analysis.prediction import Facts
from odllm_controller.analysis.queries import results
from odllm_controller.cli import table
from odllm_controller.cli.commands import chosen
from odllm_controller.cli.commands.advise_text import print_advice
from odllm_controller.metrics import Group, Metric, metric

DONE, NOT_MET = 0, 1

_EXAMPLES = """\
examples:
  odllm advise --max-memory 8GB --min-decode 10
  odllm advise --device laptop --max-memory 8GB --max-ttft 2s --max-power 15W --objective quality
  odllm advise --objective task:gsm8k --min-decode 15 --top 5
  odllm advise --objective chat                 weights of conf/kpi/chat.yaml, or the path of yours
  odllm advise --objective speed --min-quality 60% --limit kld=5mnat
  odllm advise --device new-laptop --predict    also from its ceilings, what was measured elsewhere
  odllm advise --max-memory 500MB --json > advice.json

An objective is quality (accuracy where any row has one, else perplexity), speed, latency, memory,
power, energy, any other metric by its column, task:NAME, or a KPI. A limit is met if the median is;
a figure whose 95 % interval reaches beyond the limit meets it `likely`. With several devices or
workloads each gets an answer of its own. Exit status: 0 something meets the limits, 1 nothing does,
2 wrong usage.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Returns:
        The exit status.

    Raises:
        UsageError: The device, the workload, the objective or a limit is none.
        StoreError: The store cannot be read.
    """
    options = _parser().parse_args(list(arguments))
    found = chosen.load(options.store)
    facts = prediction.load(options.store)
    known = pd.concat([found, *_predictions(found, facts, options)], ignore_index=True)
    rows = chosen.of(chosen.of(known, "device", options.device), "workload", options.workload)
    aim = objective.parse(options.objective, rows)
    question = Question(aim, tuple(_limits(options, aim, rows)), options.top)
    is_predicted = rows["status"] == prediction.PREDICTED
    told = [*advise(rows[~is_predicted], question), *advise(rows[is_predicted], question)]
    origins = rerun.load(options.store)
    if options.json:
        print(json.dumps([_as_json(each, origins, options.store) for each in told], indent=1))
    else:
        for each in told:
            print_advice(table.console(), each, aim, _next(each, origins, options.store))
    return DONE if any(each.choices for each in told) else NOT_MET


def _predictions(
    found: pd.DataFrame, facts: Facts, options: argparse.Namespace
) -> Iterator[pd.DataFrame]:
    """What was asked to be predicted; of a device without measurements, all that can be."""
    if options.device is None:
        return
    there = set(results.measured(found)["device_id"])
    for device_id, name in dict(facts.ceilings[["device_id", "device"]].to_numpy()).items():
        is_meant = name == options.device or device_id.startswith(options.device)
        if is_meant and (options.predict or device_id not in there):
            predicted = prediction.predict(found, facts, device_id)
            if not predicted.empty:
                yield predicted.dropna(axis="columns", how="all")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="odllm advise",
        description="Tell which model, type and engine to choose on a device, from what is stored.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--device", metavar="D", help="its name, or the beginning of its id")
    parser.add_argument("--workload", metavar="W", help="its name, such as short")
    parser.add_argument("--objective", default=QUALITY, metavar="O", help="(%(default)s)")
    for option, example, told in (
        ("--max-memory", "8GB", "peak memory of the process"),
        ("--min-decode", "10", "output tokens per second"),
        ("--max-ttft", "2s", "time to the first token"),
        ("--max-power", "15W", "mean watts of prefill and decode"),
        ("--min-quality", "60%", "accuracy; 12 of a perplexity: at most that"),
    ):
        parser.add_argument(option, metavar=example, help=told)
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="METRIC=VALUE",
        help="of any other metric: at least so much if higher is better, else at most",
    )
    parser.add_argument(
        "--predict",
        action="store_true",
        help="of the device, also what was not measured on it, from its ceilings",
    )
    parser.add_argument("--top", type=_count, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="a list with an object per answer")
    chosen.add_store(parser)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _limits(options: argparse.Namespace, aim: Objective, found: pd.DataFrame) -> Iterator[Limit]:
    named: list[tuple[str | None, Metric]] = [
        (options.max_memory, metric("peak_rss_bytes")),
        (options.min_decode, metric("decode_tok_s")),
        (options.max_ttft, metric("ttft_s")),
        (options.max_power, metric("mean_w")),
    ]
    if options.min_quality is not None:
        named.append((options.min_quality, _quality_metric(aim, found)))
    yield from (limits.parse(text, of) for text, of in named if text is not None)
    for each in options.limit:
        name, equals, text = each.partition("=")
        if not equals:
            raise UsageError(f"--limit {each} is no limit", "write it as --limit kld=5mnat")
        yield limits.parse(text, metric(name))


def _quality_metric(aim: Objective, found: pd.DataFrame) -> Metric:
    """What `--min-quality` bounds: the objective, if it is a quality, or else what quality is."""
    single = aim.single
    if single and single.group is Group.QUALITY:
        return single
    return objective.parse(QUALITY, found).metrics[0]


def _next(advice: Advice, origins: Mapping[str, RunRequest], path: Path) -> str:
    turning = advice.turning
    if turning is None or turning.run not in origins:
        return ""
    return rerun.command(turning, origins[turning.run], path)


def _as_json(advice: Advice, origins: Mapping[str, RunRequest], path: Path) -> dict[str, object]:
    return dataclasses.asdict(advice) | {"next_command": _next(advice, origins, path) or None}
