"""One metric of one model over its types: what lines are fitted to.

Rows of different devices, workloads or configurations are never in one curve.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias, cast

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import Floats
from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.matching.families import is_quantized
from odllm_controller.analysis.queries.results import Z_95
from odllm_controller.analysis.queries.subject import MODEL_SUBJECT, ModelSubject
from odllm_controller.metrics import METRICS, Basis, Better, Group, Metric

ALL_TYPES = "all"
QUANTIZED_TYPES = "without F16"

PREFILL_TOKEN = Metric(
    name="prefill_token_s",
    label="Time per prompt token",
    better=Better.LOWER,
    group=Group.LATENCY,
    unit="ms",
    per_unit=1e-3,
)
"""1 / `prefill_tok_s`: where bytes or operations decide, time and not speed grows with them."""

FITTED: tuple[Metric, ...] = (*METRICS, PREFILL_TOKEN)
"""What lines can be fitted to."""

Names: TypeAlias = tuple[str, str, str, str]


class Against(StrEnum):
    """What a metric is set against: a column of `results`."""

    BPW = "file_bpw"
    BYTES = "file_bytes"


@dataclass(frozen=True, slots=True)
class Curve(ModelSubject):
    """A metric of the types of one model on one device and engine, for one workload.

    Attributes:
        metric: What was measured.
        against: What it is set against.
        types: The types' names, in the order of `xs`, all n of them.
        xs: Bits per weight or bytes, rising.
        ys: The metric's values, in the unit of its column.
        errors: The standard errors of the values, in that unit; `None` where nothing tells.
    """

    metric: Metric
    against: Against
    types: tuple[str, ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    errors: tuple[float | None, ...]

    @property
    def names(self) -> Names:
        """What it is a curve of, but for the metric."""
        return self.device, self.model, self.workload_label, self.configuration

    @property
    def n(self) -> int:
        """Its points."""
        return len(self.xs)

    @property
    def places(self) -> int:
        """Its points that differ in what they are set against."""
        return len(set(self.xs))

    @property
    def relative(self) -> bool:
        """Whether its errors grow with its values: those of times do, those of scores do not."""
        return self.metric.basis is not Basis.CHECK and min(self.ys) > 0

    @property
    def quantized(self) -> "Curve":
        """It without the types that models are published in."""
        kept = [place for place, each in enumerate(self.types) if is_quantized(each)]
        return replace(
            self,
            types=tuple(self.types[place] for place in kept),
            xs=tuple(self.xs[place] for place in kept),
            ys=tuple(self.ys[place] for place in kept),
            errors=tuple(self.errors[place] for place in kept),
        )


def selections(curve: Curve) -> Iterator[tuple[str, Curve]]:
    """All types of a curve, and those without F16 if it has that, each with their name."""
    yield ALL_TYPES, curve
    quantized = curve.quantized
    if quantized.n < curve.n:
        yield QUANTIZED_TYPES, quantized


def curves(results: pd.DataFrame, metrics: Sequence[Metric], against: Against) -> Iterator[Curve]:
    """Every curve that has a point, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
        metrics: What to draw, of `FITTED`.
        against: What to set it against.
    """
    rows = latest(results)
    columns = [(metric, *_figures(rows, metric)) for metric in metrics]
    types, xs = rows["quantization"].to_numpy(), rows[against].to_numpy("float64", na_value=np.nan)
    groups = rows.assign(place=range(len(rows))).groupby(MODEL_SUBJECT, sort=False)["place"]
    for names, found in groups:
        places = found.to_numpy()
        # From few bits to many.
        rising = places[np.argsort(xs[places], kind="stable")]
        for metric, ys, errors in columns:
            if (kept := rising[~np.isnan(xs[rising] + ys[rising])]).size:
                yield Curve(
                    *cast(Names, names),
                    metric,
                    against,
                    types=tuple(types[kept]),
                    xs=tuple(xs[kept].tolist()),
                    ys=tuple(ys[kept].tolist()),
                    errors=tuple(None if math.isnan(e) else e for e in errors[kept].tolist()),
                )


def _figures(rows: pd.DataFrame, metric: Metric) -> tuple[Floats, Floats]:
    """A metric's values and their standard errors, each of the rows' length."""
    value, low, high = (each.to_numpy("float64", na_value=np.nan) for each in values(rows, metric))
    return value, (high - low) / (2 * Z_95)


def values(rows: pd.DataFrame, metric: Metric) -> tuple[pd.Series, pd.Series, pd.Series]:
    """A metric with the ends of its 95 % interval, each of the rows' length.

    Args:
        rows: Rows of `results`.
        metric: One of `FITTED`.
    """
    if metric == PREFILL_TOKEN:
        speed = (f"prefill_tok_s{end}" for end in ("", "_high", "_low"))
        return cast("tuple[pd.Series, pd.Series, pd.Series]", tuple(1 / rows[s] for s in speed))
    missing = pd.Series(float("nan"), index=rows.index)
    return rows[metric.name], rows.get(metric.low, missing), rows.get(metric.high, missing)
