"""One quality check: a text to read, or a task to solve."""

import math
from dataclasses import replace
from functools import partial

from odllm_agent.contract import QualityCheck, QualityResult, Score
from odllm_agent.errors import UsageError
from odllm_agent.quality import examining, reading
from odllm_agent.quality.perplexity import NoNumbers


def evaluate(check: QualityCheck) -> QualityResult:
    """Carries out a quality check.

    Raises:
        UsageError: The text or task is unknown, too short or wrong.
        DataMissing: What it needs cannot be fetched.
        EngineError: The engine refuses the model.
    """
    if check.reading:
        asked, metrics = partial(reading.evaluate, check, check.reading), check.reading.metrics
    elif check.exam:
        asked, metrics = partial(examining.evaluate, check, check.exam), ("accuracy",)
    else:
        raise UsageError("a quality check needs a text or a task", "name one of them")
    try:
        return QualityResult(check, tuple(map(_without_infinities, asked())))
    except NoNumbers as error:
        nothing = tuple(Score(metric, None, None, 0, str(error)) for metric in metrics)
        return QualityResult(check, nothing)


def _without_infinities(score: Score) -> Score:
    """What the computation made no number of is missing, with the reason."""
    error = score.standard_error
    known = error if error is not None and math.isfinite(error) else None
    if score.value is None or math.isfinite(score.value):
        return replace(score, standard_error=known)
    reason = f"the model's output gives {score.value}, which is no number"
    return replace(score, value=None, standard_error=None, reason=reason)
