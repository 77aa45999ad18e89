"""Figures of arXiv 2505.15030, to be shown behind one's own.

They were quoted by third parties; the paper's own text could not be read. So they are a backdrop
and no measure: how GSM8K's questions were put, what counts as memory (for the 7B model at q2_k it
is less than the weights alone), whether a MB is 10^6 or 2^20 bytes, and which phase the watts are
of, is not known.

The bits per weight are not the paper's either. They are those of the same architecture at the type
that llama.cpp makes by that name (`q4_k` is its name for Q4_K_M), by its quantizer's dry run.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

SOURCE = "arXiv 2505.15030, Intel i7-1360P with 16 GB, llama.cpp on its CPU"
CERTAINTY = "quoted by third parties, not read in the paper's text"

_PER_UNIT: Mapping[str, float] = {"%": 1e-2, "MB": 1e6, "W": 1.0}


@dataclass(frozen=True, slots=True)
class Published:
    """A figure of the paper, in the unit of the metric's column.

    Attributes:
        model: The model's name, or only its size where no more was told.
        quantization: The type of its weights by llama.cpp's name, or `None`.
        metric: The column of `results` that comes nearest to it.
        subject: What the figure is of, in the words of those who quoted it.
        value: The figure, or `None` where a range was told.
        low: The lower end of the range, or `None`.
        high: The upper end of the range, or `None`.
        file_bpw: Bits per weight of such a file, or `None` where the type was not told.
        source: Where it was published, and on what it was measured.
        certainty: How far it can be relied on.
    """

    model: str
    quantization: str | None
    metric: str
    subject: str
    value: float | None
    low: float | None
    high: float | None
    file_bpw: float | None
    source: str = SOURCE
    certainty: str = CERTAINTY


def published(metric: str) -> tuple[Published, ...]:
    """The paper's figures of one metric; none where nothing was quoted.

    Args:
        metric: The metric's name.
    """
    return tuple(each for each in _all() if each.metric == metric)


@cache
def _all() -> tuple[Published, ...]:
    text = (resources.files("odllm_controller.analysis.queries") / "published.csv").read_text(
        "utf-8"
    )
    return tuple(_published(row) for row in csv.DictReader(text.splitlines()))


def _published(row: Mapping[str, str]) -> Published:
    per_unit = _PER_UNIT[row["unit"]]
    value, low, high = (
        float(row[name]) * per_unit if row[name] else None for name in ("value", "low", "high")
    )
    return Published(
        model=row["model"],
        quantization=row["quantization"] or None,
        metric=row["metric"],
        subject=row["subject"],
        value=value,
        low=low,
        high=high,
        file_bpw=float(row["file_bpw"]) if row["file_bpw"] else None,
    )
