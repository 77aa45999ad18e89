"""One quality check: a text to read, or a task to solve."""

from odllm_agent.contract import QualityCheck, QualityResult
from odllm_agent.errors import UsageError
from odllm_agent.quality import examining, reading


def evaluate(check: QualityCheck) -> QualityResult:
    """Carries out a quality check.

    Raises:
        UsageError: The text or task is unknown, too short or wrong.
        DataMissing: What it needs cannot be fetched.
        EngineError: The engine refuses the model.
    """
    if check.reading:
        return QualityResult(check, reading.evaluate(check, check.reading))
    if check.exam:
        return QualityResult(check, examining.evaluate(check, check.exam))
    raise UsageError("a quality check needs a text or a task", "name one of them")
