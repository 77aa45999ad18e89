"""What fewer bits cost in quality and save in room, from one type of a model to another.

Of accuracy the loss is a difference, of perplexity the rise as a fraction, of KL divergence and the
right token's probability the change against the unquantized file. The standard errors of both
types are taken for independent. They come from the same questions or the same text, so the true
interval is narrower, by how much is not stored.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.matching.comparable import sources
from odllm_controller.analysis.queries.results import Z_95, Row, records
from odllm_controller.analysis.queries.subject import MODEL_SUBJECT, ModelSubject
from odllm_controller.metrics import metric

# How much worse the second value is than the first, and the errors' factors in it.
_Loss = Callable[[float, float], tuple[float, float, float]]
_LOSSES: Mapping[str, _Loss] = {
    "accuracy": lambda more, less: (more - less, 1.0, 1.0),
    "perplexity": lambda more, less: (less / more - 1, less / more**2, 1 / more),
    "kld": lambda more, less: (less - more, 1.0, 1.0),
    "delta_p": lambda more, less: (more - less, 1.0, 1.0),
}
QUALITIES = tuple(_LOSSES)
"""The scores whose loss is told, by their metric."""

_COLUMNS = [
    *MODEL_SUBJECT,
    *("quantization", "file_bpw", "file_bytes", "peak_rss_bytes"),
    *("quality_text", "accuracies", "perplexity_reason"),
    *(f"{quality}{part}" for quality in QUALITIES for part in ("", "_se")),
]


@dataclass(frozen=True, slots=True)
class TypeStep(ModelSubject):
    """From a type of a model to one of fewer bits per weight.

    Attributes:
        more: The type of more bits.
        less: The type of fewer bits.
        more_bpw: The bits per weight of the first.
        less_bpw: Of the second.
        file_saved: The part of the first one's file that is saved, from 0 to 1, or `None`.
        memory_saved: The part of its peak memory that is saved, below 0 if it takes more.
        weights_share: The part of the first one's peak memory that its file would fill, or `None`.
        quality: The score's metric; `None` where both have no score in common.
        lost: How much worse the second one is, or `None`.
        lost_low: The lower end of its 95 % interval; `None` where an error is missing.
        lost_high: The upper end.
        score_reason: Why there is no score, or `""`.
    """

    more: str
    less: str
    more_bpw: float
    less_bpw: float
    file_saved: float | None
    memory_saved: float | None
    weights_share: float | None
    quality: str | None = None
    lost: float | None = None
    lost_low: float | None = None
    lost_high: float | None = None
    score_reason: str = ""


def steps(results: pd.DataFrame) -> tuple[TypeStep, ...]:
    """From each type to the next, of every model and score, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
    """
    return tuple(
        step
        for types in _ladders(results)
        for more, less in itertools.pairwise(types)
        for step in _between(more, less)
    )


def descents(results: pd.DataFrame) -> tuple[TypeStep, ...]:
    """From the type of most bits to each other, of every model and score.

    Args:
        results: Rows as `results.load` gives them.
    """
    return tuple(
        step
        for most, *others in _ladders(results)
        for less in others
        for step in _between(most, less)
    )


def _ladders(results: pd.DataFrame) -> Iterator[list[Row]]:
    """The types of each model, from most bits to fewest."""
    rows = latest(results)[_COLUMNS].dropna(subset=["file_bpw"])
    rows = rows.assign(
        place=rows.groupby(MODEL_SUBJECT, sort=False).ngroup(),
        **{_origin(each): sources(rows, metric(each)) for each in QUALITIES},
    ).sort_values(["place", "file_bpw"], ascending=[True, False], kind="stable")
    for _, alike in itertools.groupby(records(rows), key=lambda row: row["place"]):
        yield list(alike)


def _origin(quality: str) -> str:
    """The column of what a score was computed on."""
    return f"{quality}_origin"


def _between(more: Row, less: Row) -> Iterator[TypeStep]:
    bare = TypeStep(
        **{name: more[name] for name in MODEL_SUBJECT},
        more=more["quantization"],
        less=less["quantization"],
        more_bpw=float(more["file_bpw"]),
        less_bpw=float(less["file_bpw"]),
        file_saved=_saved(more, less, "file_bytes"),
        memory_saved=_saved(more, less, "peak_rss_bytes"),
        weights_share=_part(more["file_bytes"], more["peak_rss_bytes"]),
    )
    shared = [quality for quality in QUALITIES if _comparable(more, less, quality)]
    for quality in shared:
        yield _with_loss(bare, more, less, quality)
    if not shared:
        told = less["perplexity_reason"]
        reason: str = "no score of both on the same text or tasks" if pd.isna(told) else str(told)
        yield replace(bare, score_reason=reason)


def _comparable(more: Row, less: Row, quality: str) -> bool:
    both = not (pd.isna(more[quality]) or pd.isna(less[quality]))
    return both and more[_origin(quality)] == less[_origin(quality)]


def _with_loss(bare: TypeStep, more: Row, less: Row, quality: str) -> TypeStep:
    lost, of_more, of_less = _LOSSES[quality](float(more[quality]), float(less[quality]))
    error = math.hypot(of_more * more[f"{quality}_se"], of_less * less[f"{quality}_se"])
    if math.isnan(error):
        return replace(bare, quality=quality, lost=lost)
    low, high = lost - Z_95 * error, lost + Z_95 * error
    return replace(bare, quality=quality, lost=lost, lost_low=low, lost_high=high)


def _saved(more: Row, less: Row, column: str) -> float | None:
    left = _part(less[column], more[column])
    return None if left is None else 1 - left


def _part(of: float, whole: float) -> float | None:
    return None if pd.isna(of) or pd.isna(whole) else float(of) / float(whole)
