"""`odllm advise`: which configurations to choose on a device under limits, and how sure that is."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import pandas as pd
from cyclopts import Parameter

from odllm_agent.errors import UsageError
from odllm_agent.terminal.program import STORE, AsJson, StorePath, Whole, program
from odllm_controller.analysis import prediction
from odllm_controller.analysis.advice import limits, objective, rerun
from odllm_controller.analysis.advice.advice import Question, advise
from odllm_controller.analysis.advice.limits import Limit
from odllm_controller.analysis.advice.objective import QUALITY, Objective
from odllm_controller.analysis.prediction import Facts
from odllm_controller.analysis.queries import results
from odllm_controller.cli import table
from odllm_controller.cli.commands import chosen
from odllm_controller.cli.commands.advise_text import print_advice
from odllm_controller.metrics import Metric, metric

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


app = program("odllm advise", examples=_EXAMPLES)


def _at_least_one(_: object, number: int) -> None:
    if number < 1:
        raise ValueError(f"argument --top: {number} is less than 1")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class AdviseOptions:
    """What is to be advised.

    Attributes:
        device: its name, or the beginning of its id
        workload: its name, such as short
        objective: what is to be best
        max_memory: peak memory of the process
        min_decode: output tokens per second
        max_ttft: time to the first token
        max_power: mean watts of prefill and decode
        min_quality: accuracy; 12 of a perplexity: at most that
        limit: of any other metric: at least so much if higher is better, else at most
        predict: of the device, also what was not measured on it, from its ceilings
        top: how many configurations
        as_json: a list with an object per answer
        store: where the results are
    """

    device: Annotated[str | None, "D"] = None
    workload: Annotated[str | None, "W"] = None
    objective: Annotated[str, "O"] = QUALITY
    max_memory: Annotated[str | None, "8GB"] = None
    min_decode: Annotated[str | None, "10"] = None
    max_ttft: Annotated[str | None, "2s"] = None
    max_power: Annotated[str | None, "15W"] = None
    min_quality: Annotated[str | None, "60%"] = None
    limit: Annotated[tuple[str, ...], "METRIC=VALUE"] = ()
    predict: bool = False
    top: Annotated[Whole, Parameter(validator=_at_least_one), "N"] = 3
    as_json: AsJson = False
    store: StorePath = STORE


@app.default
def tell(*, options: AdviseOptions = AdviseOptions()) -> int:
    """Tell which model, type and engine to choose on a device, from what is stored.

    Args:
        options: under which limits

    Raises:
        UsageError: The device, the workload, the objective or a limit is none.
        StoreError: The store cannot be read.
    """
    found = chosen.load(options.store)
    facts = prediction.load(options.store)
    known = pd.concat([found, *_predictions(found, facts, options)], ignore_index=True)
    rows = chosen.of(chosen.of(known, "device", options.device), "workload", options.workload)
    aim = objective.parse(options.objective, rows)
    question = Question(aim, tuple(_limits(options, aim, rows)), options.top)
    is_predicted = rows["status"] == prediction.PREDICTED
    told = [*advise(rows[~is_predicted], question), *advise(rows[is_predicted], question)]
    origins = rerun.load(options.store)
    next_commands = [rerun.next_command(each.turning, origins, options.store) for each in told]
    answers = list(zip(told, next_commands, strict=True))
    if options.as_json:
        objects = [asdict(each) | {"next_command": command or None} for each, command in answers]
        print(json.dumps(objects, indent=1))
    else:
        for each, command in answers:
            print_advice(table.console(), each, aim, command)
    return DONE if any(each.choices for each in told) else NOT_MET


def _predictions(
    found: pd.DataFrame, facts: Facts, options: AdviseOptions
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


def _limits(options: AdviseOptions, aim: Objective, found: pd.DataFrame) -> Iterator[Limit]:
    named: list[tuple[str | None, Metric]] = [
        (options.max_memory, metric("peak_rss_bytes")),
        (options.min_decode, metric("decode_tok_s")),
        (options.max_ttft, metric("ttft_s")),
        (options.max_power, metric("mean_w")),
    ]
    if options.min_quality is not None:
        named.append((options.min_quality, objective.quality_metric(aim, found)))
    yield from (limits.parse(text, of) for text, of in named if text is not None)
    for each in options.limit:
        name, equals, text = each.partition("=")
        if not equals:
            raise UsageError(f"--limit {each} is no limit", "write it as --limit kld=5mnat")
        yield limits.parse(text, metric(name))
