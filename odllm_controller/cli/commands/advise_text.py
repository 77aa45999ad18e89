"""An answer on the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from odllm_controller.analysis.advice import wording
from odllm_controller.analysis.advice.advice import Advice
from odllm_controller.analysis.advice.choice import Choice
from odllm_controller.analysis.advice.objective import Objective
from odllm_controller.analysis.queries.results import Row
from odllm_controller.cli.table import MISSING, Column, print_rows, words
from odllm_controller.metrics import metric


def print_advice(console: Console, advice: Advice, objective: Objective, following: str) -> None:
    """Prints the answer for one device and workload.

    Args:
        console: Where to print.
        advice: The answer.
        objective: What it is best by.
        following: The command that makes it surer, or `""`.
    """
    marked = ", PREDICTED and not measured" if advice.predicted else ""
    _say(console, f"{advice.device}, {advice.workload_label}{marked}")
    _say(console, f"best by: {advice.objective}")
    if advice.limits:
        _say(console, f"under: {'; '.join(advice.limits)}")
    _print_choices(console, advice, objective)
    for line in _lines(advice, objective):
        _say(console, line)
    if advice.turning:
        _say(console, f"next: {wording.turn(advice.turning)}")
    if following:
        _say(console, f"  {following}")
    _say(console, "")


def _print_choices(console: Console, advice: Advice, objective: Objective) -> None:
    shown = advice.choices or ((advice.closest,) if advice.closest else ())
    if not advice.choices:
        _say(console, f"no answer: {advice.blame}.")
    if shown:
        if not advice.choices:
            _say(console, "what comes nearest:")
        rows = [_row(place, each, objective) for place, each in enumerate(shown, start=1)]
        print_rows(console, _columns(shown, objective), rows)


def _row(place: int, choice: Choice, objective: Objective) -> Row:
    return {
        "place": str(place),
        "model": choice.model,
        "quantization": choice.quantization,
        "configuration": choice.configuration,
        "best": wording.percent(choice.best),
        "merit": wording.merit(choice, objective),
        **{found.metric: wording.measured(found) for found in choice.figures},
    }


def _columns(shown: Sequence[Choice], objective: Objective) -> Sequence[Column]:
    named = dict.fromkeys(found.metric for each in shown for found in each.figures)
    merit = () if objective.single else (_text("merit", "merit"),)
    return (
        words("", "place"),
        words("model", "model"),
        words("type", "quantization"),
        words("engine", "configuration"),
        *merit,
        *(_text(metric(name).label, name) for name in named),
        _text("best with", "best"),
    )


def _text(heading: str, name: str) -> Column:
    return Column(heading, lambda row: str(row.get(name, MISSING)))


def _lines(advice: Advice, objective: Objective) -> Iterator[str]:
    if sure := wording.sureness(advice):
        yield sure
    for each in advice.costs:
        yield f"limit: {wording.cost(each, objective)}"
    for choice in advice.choices:
        if choice.prediction:
            yield f"{choice.name}: {choice.prediction}"
    for aside in advice.asides:
        yield f"left out, {aside.n}: {aside.reason}"
    for note in advice.notes:
        yield f"note: {note}"


def _say(console: Console, line: str) -> None:
    # What a device says is text, and no markup; a command must not be broken into lines.
    console.print(line, markup=False, highlight=False, soft_wrap=True)
