"""What a run answers: what to choose on each device, how sure that is, and what claims hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from odllm_agent.errors import UsageError
from odllm_app.report.table import WordTable, cell
from odllm_controller.analysis.advice import objective, wording
from odllm_controller.analysis.advice.advice import Advice, Question, advise
from odllm_controller.analysis.advice.objective import QUALITY, Objective
from odllm_controller.analysis.claims.claims import verdicts
from odllm_controller.metrics import metric

_SPEED = "speed"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one device and workload.

    Attributes:
        heading: The device and workload.
        lines: What is to be known of it.
        choices: The best configurations.
    """

    heading: str
    lines: Sequence[str]
    choices: WordTable


def answers(found: pd.DataFrame) -> list[Answer]:
    """The best by quality and by speed, for each device and workload.

    Args:
        found: Rows as `results.load` gives them.
    """
    return [
        _answer(each) for aim in _aims(found) for each in advise(found, Question(aim)) if each.n
    ]


def claims(found: pd.DataFrame) -> WordTable:
    """What is claimed of all devices, and what these rows say of it.

    Args:
        found: Rows as `results.load` gives them.
    """
    headings = ("Claim", "These figures", "Evidence", "Trials", "Models", "Devices", "To decide it")
    rows = [
        (
            f"{each.number}. {each.claim}",
            f"{each.standing}",
            each.evidence,
            str(each.n),
            str(each.models),
            str(each.devices),
            each.wanted,
        )
        for each in verdicts(found)
    ]
    return WordTable(headings, rows)


def _aims(found: pd.DataFrame) -> Iterator[Objective]:
    for name in (QUALITY, _SPEED):
        # A run of models without a quality still tells which is fastest.
        try:
            yield objective.parse(name, found)
        except UsageError:
            continue


def _answer(advice: Advice) -> Answer:
    lines = [
        wording.sureness(advice),
        wording.turn(advice.turning) if advice.turning else "",
        *(f"Left out, {aside.n}: {aside.reason}." for aside in advice.asides),
        *advice.notes,
    ]
    heading = f"{advice.device}, {advice.workload_label}: best by {advice.objective}"
    return Answer(heading, [line for line in lines if line], _choices(advice))


def _choices(advice: Advice) -> WordTable:
    shown = dict.fromkeys(found.metric for each in advice.choices for found in each.figures)
    headings = ("Model", "Type", "Engine", *(metric(name).label for name in shown), "Best with")
    rows = []
    for each in advice.choices:
        told = {found.metric: wording.measured(found) for found in each.figures}
        figures = (told.get(name, "") for name in shown)
        subject = (each.model, cell(each.quantization), each.configuration)
        rows.append((*subject, *figures, wording.percent(each.best)))
    return WordTable(headings, rows)
