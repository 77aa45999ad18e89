"""What is told of prompts and windows that are longer than a model was made for."""

from dataclasses import replace

from odllm_agent.contract import Reading, Trial, Workload
from odllm_agent.trials import context, orders
from odllm_agent.trials.context import ContextUse
from tests import support

TRIAL = support.trial()


def asking(tokens: int, name: str = "long", quantization: str = "Q4_0") -> Trial:
    """A trial whose context has so many tokens at its end; its model was made for 256."""
    model = support.model_file(quantization=quantization)
    return replace(support.trial(model), workload=Workload(name, tokens - 8, 8))


def test_as_many_tokens_as_the_model_was_made_for_are_not_told() -> None:
    assert orders.beyond_context([asking(256)], [support.quality_check()]) == ()


def test_one_token_more_is_told_with_both_sizes() -> None:
    (line,) = orders.beyond_context([asking(1257)])
    assert line.startswith(
        "reference-1.6M Q4_0 with the workload long: 1,257 tokens of context, and the model was "
        "made for 256"
    )


def test_what_is_alike_is_told_in_one_line() -> None:
    types, again = ("Q4_0", "Q8_0"), asking(300)
    planned = [asking(300, quantization=each) for each in types]
    lines = orders.beyond_context([*planned, again, asking(301), asking(300, "other")])
    assert [line.split(" with ")[0] for line in lines] == [
        "reference-1.6M Q4_0, reference-1.6M Q8_0",
        "reference-1.6M Q4_0",
        "reference-1.6M Q4_0",
    ]


def test_windows_of_a_text_are_told_too() -> None:
    reading = Reading("wikitext-2", "sha", 512, None, ("perplexity",))
    (line,) = orders.beyond_context([], [support.quality_check(reading=reading)])
    assert "with windows of the text wikitext-2: 512 tokens" in line


def test_tokens_that_are_there_before_count() -> None:
    deep = Workload("deep", 8, 8, depth_tokens=4096)
    asked = ContextUse.of_workload(TRIAL.model, deep)
    assert asked.reason.startswith("4,112 tokens of context")
    assert len(context.beyond([asked])) == 1
