"""Whether a model is given more tokens than it was made for: the one rule for plans and runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from odllm_agent.contract import ModelFile, Reading, Workload

_MEANING = "times are right, and what it answers there says nothing of it"


@dataclass(frozen=True, slots=True)
class ContextUse:
    """What a model is asked, as far as it fills its context.

    Attributes:
        model: The model.
        by: What asks it, in words, such as `workload long`.
        context_tokens: The tokens that are in the context at the end.
    """

    model: ModelFile
    by: str
    context_tokens: int

    @classmethod
    def of_workload(cls, model: ModelFile, workload: Workload) -> Self:
        """What a repeat of a workload asks."""
        return cls(model, f"the workload {workload.name}", workload.context_tokens)

    @classmethod
    def of_reading(cls, model: ModelFile, reading: Reading) -> Self:
        """What reading a text window by window asks."""
        return cls(model, f"windows of the text {reading.text}", reading.window_tokens)

    @property
    def reason(self) -> str:
        """What is beyond what the model was made for, or `""`."""
        if self.context_tokens <= self.model.context_tokens:
            return ""
        return (
            f"{self.context_tokens:,} tokens of context, and the model was made for "
            f"{self.model.context_tokens:,}"
        )


def beyond(asked: Iterable[ContextUse]) -> tuple[str, ...]:
    """What goes beyond the context that its model was made for; what is alike in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for each in asked:
        if each.reason:
            alike.setdefault((each.by, each.reason), []).append(each.model.label)
    return tuple(
        f"{', '.join(dict.fromkeys(labels))} with {by}: {reason}: {_MEANING}"
        for (by, reason), labels in alike.items()
    )
