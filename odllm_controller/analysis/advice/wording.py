"""An answer in words, the same on a page and on the terminal."""

from odllm_controller.analysis.advice.advice import Advice
from odllm_controller.analysis.advice.choice import Choice, ChoiceFigure, Meets
from odllm_controller.analysis.advice.next_measurement import Turning
from odllm_controller.analysis.advice.objective import Objective
from odllm_controller.analysis.advice.relaxing import LimitCost, Relaxed
from odllm_controller.metrics import brief, metric

_MEETS = {
    Meets.YES: "",
    Meets.LIKELY: "likely",
    Meets.HARDLY: "hardly",
    Meets.NO: "misses",
}


def measured(found: ChoiceFigure) -> str:
    """A figure with its 95 % interval, its unit, and whether it meets its limit."""
    of = metric(found.metric)
    ends = ""
    if found.low is not None and found.high is not None:
        low, high = (
            of.shown(end).removesuffix(of.unit).rstrip() for end in (found.low, found.high)
        )
        ends = f" [{low}, {high}]"
    mark = _MEETS[found.meets] if found.meets else ""
    return f"{of.shown(found.value)}{ends}{f' {mark}' if mark else ''}"


def merit(choice: Choice, objective: Objective) -> str:
    """How good a choice is by the objective."""
    single = objective.single
    return single.shown(choice.merit) if single else f"{brief(choice.merit)} of 1"


def percent(chance: float | None) -> str:
    """A probability; what lies near the ends is known no better than by a hundredth."""
    if chance is None:
        return "-"
    if chance < 0.01:
        return "< 1 %"
    return "> 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"


def sureness(advice: Advice) -> str:
    """How sure the first choice is, where there is one."""
    if not advice.choices:
        return ""
    first = advice.choices[0]
    told = _rank(advice, first)
    if not advice.limits:
        return f"{told}."
    if first.meets is None:
        return f"{told}. It meets {_all(len(advice.limits))} by figures without an interval."
    joined = ", and" if first.best is not None else ". It"
    return f"{told}{joined} meets {_all(len(advice.limits))} with {percent(first.meets)}."


def _rank(advice: Advice, first: Choice) -> str:
    """How the first choice stands among what was compared; of one there is nothing to say."""
    if advice.n == 1:
        known = "predicted" if advice.predicted else "measured"
        return f"There was nothing to choose from: only this configuration was {known}"
    if first.best is None:
        return (
            f"The first has the best figure of {advice.n}; how sure that is cannot be told, "
            "because it has no interval"
        )
    return f"The first is the best of {advice.n} with a chance of {percent(first.best)}"


def cost(found: LimitCost, objective: Objective) -> str:
    """What one limit costs, a sentence."""
    if found.nearest is None or found.best is None:
        return f"{found.limit}: relaxing it alone changes nothing."
    told = f"{found.limit}: {_relaxed(found, found.nearest, objective)}"
    if found.best.choice == found.nearest.choice:
        return f"{told}."
    return f"{told}; {_relaxed(found, found.best, objective)}, the best without it."


def turn(found: Turning) -> str:
    """What to measure next, and why."""
    what = f"{found.model} {found.quantization}, {found.configuration}"
    label = metric(found.metric).label.lower()
    if found.chance is None:
        return f"Measure {what} in more rounds: its {label} has no interval."
    why = f"knowing it exactly would change the answer with {percent(found.chance)}"
    return f"Measure the {label} of {what} better: {why}."


def _relaxed(of: LimitCost, found: Relaxed, objective: Objective) -> str:
    bound = metric(of.metric).shown(found.bound)
    factor = f" (x{brief(found.factor)})" if found.factor is not None else ""
    gain = f", x{brief(found.gain)} as good" if found.gain is not None else ""
    return f"{bound}{factor} gives {found.choice.name} with {merit(found.choice, objective)}{gain}"


def _all(n: int) -> str:
    return "the limit" if n == 1 else f"all {n} limits"
