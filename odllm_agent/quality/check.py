"""One quality check: load the model, read the text, compute the metric."""

from odllm_agent import engines
from odllm_agent.contract import QualityCheck, QualityResult
from odllm_agent.errors import UsageError
from odllm_agent.quality.perplexity import perplexity
from odllm_agent.quality.text import read_text


def evaluate(check: QualityCheck) -> QualityResult:
    """Computes a quality metric.

    Raises:
        UsageError: The metric or the text is unknown, or the text is too short.
        EngineError: The engine refuses the model.
    """
    if check.metric != "perplexity":
        raise UsageError(f"there is no metric named {check.metric!r}", "known: perplexity")
    text = read_text(check.text)
    with engines.load(check.engine, check.model, check.window_tokens) as session:
        found = perplexity(session, session.tokenize(text), check.window_tokens)
    return QualityResult(check, found.value, found.standard_error, found.n_tokens)
