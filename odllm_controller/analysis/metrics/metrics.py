"""The one registry of metrics: what each is called, measured in, and better when."""

import math
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from odllm_agent.errors import UsageError
from odllm_agent.terminal.arguments import nearest

TASK = "task:"
"""What the name of one task's accuracy begins with; `analysis.tasks` makes the column."""


class Better(StrEnum):
    """Which direction of a metric is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"


class Group(StrEnum):
    """What a metric is about."""

    SPEED = "Speed"
    LATENCY = "Latency"
    MEMORY = "Memory"
    QUALITY = "Quality"
    ENERGY = "Energy"


class Basis(StrEnum):
    """What one value of a metric is worked out from."""

    REPEATS = "repeats"
    ROUNDS = "rounds"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of `results` that can be drawn, compared and optimised.

    Attributes:
        name: The column's name.
        label: What people call it.
        unit: The unit it is shown in; empty where it has none.
        per_unit: How much of the column's own unit one shown unit is.
        better: Which direction is better.
        group: What it is about.
        basis: What one value is worked out from.
        missing: Why there is no value, where no row tells.
        reason: The column that tells why there is no value, or `None`.
    """

    name: str
    label: str
    unit: str
    per_unit: float
    better: Better
    group: Group
    basis: Basis = Basis.REPEATS
    missing: str = "not measured yet"
    reason: str | None = None

    @property
    def low(self) -> str:
        """The column of the lower end of the 95 % interval."""
        return f"{self.name}_low"

    @property
    def high(self) -> str:
        """The column of the upper end of the 95 % interval."""
        return f"{self.name}_high"

    @property
    def uncertainty(self) -> str:
        """The column that says how far off its sensor may be; few metrics have one."""
        return f"{self.name}_uncertainty"

    @property
    def title(self) -> str:
        """The label with its unit, for an axis or a heading."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def shown(self, value: float) -> str:
        """A value in the unit that it is shown in, with three digits that count.

        Args:
            value: In the column's own unit.
        """
        return f"{figure(value / self.per_unit)} {self.unit}".rstrip()

    def why_missing(self, results: pd.DataFrame) -> str:
        """Why rows of `results` have no value of this metric.

        Args:
            results: The rows.

        Returns:
            The reasons that they give, the first two of many, or what is generally so.
        """
        without = results[results[self.name].isna()]
        told = without[self.reason].dropna() if self.reason else pd.Series(dtype=str)
        reasons = sorted(set(told) - {""})
        more = [f"and {len(reasons) - 2} more like these"] if len(reasons) > 2 else []
        return "; ".join(reasons[:2] + more) or self.missing


_MS = 1e-3
_MB = 1e6
_MJ = 1e-3
_MILLI = 1e-3
_PERCENT = 1e-2
# The other scores of a text are missing for the same reason as the KL divergence.
_REASONED = frozenset({"perplexity", "accuracy"})


def _energy(
    name: str,
    label: str,
    unit: str,
    per_unit: float = 1.0,
    basis: Basis = Basis.REPEATS,
    reason: str = "energy_reason",
) -> Metric:
    return Metric(name, label, unit, per_unit, Better.LOWER, Group.ENERGY, basis, reason=reason)


def _memory(name: str, label: str) -> Metric:
    return Metric(
        name,
        label,
        "MB",
        _MB,
        Better.LOWER,
        Group.MEMORY,
        Basis.ROUNDS,
        reason="memory_reason",
    )


def _quality(
    name: str, label: str, unit: str = "", per_unit: float = 1.0, better: Better = Better.LOWER
) -> Metric:
    return Metric(
        name,
        label,
        unit,
        per_unit,
        better,
        Group.QUALITY,
        Basis.CHECK,
        missing="no such quality check was run on this file",
        reason=f"{name if name in _REASONED else 'kld'}_reason",
    )


def _task(name: str, label: str, missing: str) -> Metric:
    return Metric(
        name,
        label,
        "%",
        _PERCENT,
        Better.HIGHER,
        Group.QUALITY,
        Basis.CHECK,
        missing,
        reason="accuracy_reason",
    )


def _share(name: str, label: str) -> Metric:
    return Metric(name, label, "%", _PERCENT, Better.HIGHER, Group.SPEED, reason="ceiling_reason")


METRICS: tuple[Metric, ...] = (
    Metric("decode_tok_s", "Decode speed", "tok/s", 1, Better.HIGHER, Group.SPEED),
    Metric("prefill_tok_s", "Prefill speed", "tok/s", 1, Better.HIGHER, Group.SPEED),
    _share("mbu", "Decode MBU"),
    _share("prefill_compute_fraction", "Prefill compute share"),
    Metric("ttft_s", "Time to first token", "ms", _MS, Better.LOWER, Group.LATENCY),
    Metric("tpot_s", "Time per output token", "ms", _MS, Better.LOWER, Group.LATENCY),
    Metric("peak_rss_bytes", "Peak memory", "MB", _MB, Better.LOWER, Group.MEMORY, Basis.ROUNDS),
    _memory("mapped_bytes", "Mapped model"),
    _memory("anonymous_bytes", "Memory that no file backs"),
    _memory("loaded_bytes", "Weights read or laid out anew"),
    _memory("kv_bytes", "KV cache"),
    _memory("compute_bytes", "Compute buffers"),
    Metric("load_s", "Load time", "ms", _MS, Better.LOWER, Group.MEMORY, Basis.ROUNDS),
    _quality("accuracy", "Accuracy, mean over tasks", "%", _PERCENT, Better.HIGHER),
    _quality("perplexity", "Perplexity"),
    _quality("kld", "KL divergence", "mnat", _MILLI),
    _quality("top1_agreement", "Same likeliest token", "%", _PERCENT, Better.HIGHER),
    _quality("delta_p", "Change of the right token's probability", "%", _PERCENT, Better.HIGHER),
    _quality("delta_p_rms", "The same, root mean square", "%", _PERCENT),
    _energy("decode_j_per_token", "Decode energy per token", "mJ", _MJ),
    _energy("mean_w", "Mean power", "W"),
    _energy("prefill_w", "Prefill power", "W"),
    _energy("decode_w", "Decode power", "W"),
    _energy("prefill_j_per_token", "Prefill energy per token", "mJ", _MJ),
    _energy(
        "decode_net_j_per_token",
        "Decode energy per token, less idle",
        "mJ",
        _MJ,
        reason="net_reason",
    ),
    _energy("prefill_peak_w", "Peak power of prefill", "W"),
    _energy("decode_peak_w", "Peak power of decode", "W"),
    _energy("load_j", "Energy of loading", "J", 1.0, Basis.ROUNDS, reason="load_j_reason"),
)
"""All metrics, in the order in which they are shown."""


_BY_NAME = {each.name: each for each in METRICS}


def metric(name: str) -> Metric:
    """The metric of a name: a column of the registry, or `task:NAME` for the accuracy in a task.

    Raises:
        UsageError: There is none.
    """
    if name.startswith(TASK) and name != TASK:
        task = name.removeprefix(TASK)
        return _task(name, f"Accuracy in {task}", f"the file was not asked {task}")
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise UsageError(f"there is no metric {name!r}", nearest(name, _BY_NAME))


def figure(value: float) -> str:
    """A number whose size may be anything: three digits that count, four before the point."""
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{3 if abs(value) < 1000 else 4}g}")
    before = math.floor(math.log10(abs(rounded))) + 1 if rounded else 1
    return f"{rounded:,.{max(0, 3 - before)}f}"


def brief(value: float) -> str:
    """The same without zeros behind the point, for ratios and for narrow tables."""
    whole, point, behind = figure(value).partition(".")
    return f"{whole}{point}{behind}".rstrip("0").rstrip(".") if point else whole
