"""The one registry of metrics; tables, views, charts, limits, imports and docs take theirs from it.

One whose interval is `Ends.BOOTSTRAP` is a column of the macro `rates_of` in `store/rates.sql`, and
that is all there is to write beside its entry here.
"""

import re
from collections.abc import Mapping
from functools import partial

from odllm_agent.errors import UsageError
from odllm_agent.terminal.arguments import nearest
from odllm_controller.metrics.metric import Better, Ends, Group, Metric, Values

TASK = "task:"
"""What the name of one task's accuracy begins with; `analysis.queries.tasks` makes the column."""

_MS = 1e-3
_MB = 1e6
_MJ = 1e-3
_MILLI = 1e-3
_PERCENT = 1e-2

_speed = partial(
    Metric, group=Group.SPEED, better=Better.HIGHER, unit="tok/s", values=Values.POSITIVE
)
_share = partial(
    Metric,
    group=Group.SPEED,
    better=Better.HIGHER,
    unit="%",
    per_unit=_PERCENT,
    ends=Ends.OF_TIMES,
    reason="ceiling_reason",
)
_latency = partial(
    Metric,
    group=Group.LATENCY,
    better=Better.LOWER,
    unit="ms",
    per_unit=_MS,
    values=Values.POSITIVE,
)
_memory = partial(
    Metric, group=Group.MEMORY, better=Better.LOWER, unit="MB", per_unit=_MB, ends=Ends.NONE
)
_held = partial(_memory, reason="memory_reason")
_score = partial(
    Metric,
    group=Group.QUALITY,
    better=Better.LOWER,
    ends=Ends.STANDARD_ERROR,
    missing="no such quality check was run on this file",
)
# The scores of a comparison are all missing for the same reason.
_divergence = partial(_score, reason="kld_reason")
_energy = partial(Metric, group=Group.ENERGY, better=Better.LOWER, reason="energy_reason")
_joules_per_token = partial(_energy, unit="mJ", per_unit=_MJ)
_watts = partial(_energy, unit="W")
_part = partial(_energy, unit="J", offered=False)

EVERY: tuple[Metric, ...] = (
    _speed(
        name="decode_tok_s",
        label="Decode speed",
        meaning="output tokens per second",
        alias="speed",
        heading="decode",
        in_report=True,
    ),
    _speed(
        name="prefill_tok_s",
        label="Prefill speed",
        meaning="prompt tokens per second",
        heading="prefill",
        in_report=True,
    ),
    _share(
        name="mbu",
        label="Decode MBU",
        meaning="share of the device's read bandwidth that decode uses: bytes that an output token "
        "must read / (`tpot_s` x bytes read per second)",
    ),
    _share(
        name="prefill_compute_fraction",
        label="Prefill compute share",
        meaning="share of the prompt's time that its operations would take at the engine's own "
        "ceilings",
    ),
    _latency(
        name="ttft_s",
        label="Time to first token",
        meaning="from handing over the prompt to the first output token chosen",
        alias="latency",
        heading="TTFT",
        decimals=2,
        in_report=True,
    ),
    _latency(name="tpot_s", label="Time per output token", meaning="mean of all output tokens"),
    _memory(
        name="peak_rss_bytes",
        label="Peak memory",
        meaning="the worker's peak resident set, the mapped model file included",
        alias="memory",
        heading="peak",
        in_report=True,
    ),
    _held(
        name="mapped_bytes",
        label="Mapped model",
        meaning="the part of its resident set that is the model's files, once the last repeat had "
        "ended",
    ),
    _held(
        name="anonymous_bytes",
        label="Memory that no file backs",
        meaning="the part that no file backs: the next three and the process's own",
    ),
    _held(
        name="loaded_bytes",
        label="Weights read or laid out anew",
        meaning="weights in memory of the process's own, read or laid out anew, as the engine "
        "tells",
    ),
    _held(name="kv_bytes", label="KV cache", meaning="the KV cache, as the engine tells"),
    _held(
        name="compute_bytes",
        label="Compute buffers",
        meaning="the buffers for computing and for logits, at the size that the engine asked for; "
        "it may not have touched all of it",
    ),
    Metric(
        name="load_s",
        label="Load time",
        better=Better.LOWER,
        group=Group.MEMORY,
        unit="ms",
        per_unit=_MS,
        ends=Ends.NONE,
        meaning="from opening the file to a context ready for tokens",
    ),
    _score(
        name="accuracy",
        label="Accuracy, mean over tasks",
        unit="%",
        per_unit=_PERCENT,
        better=Better.HIGHER,
        values=Values.FRACTION,
        meaning="share of right answers, a mean over all tasks that this file was given, each "
        "counting alike; NULL where one of them failed",
        reason="accuracy_reason",
        heading="accuracy",
        decimals=1,
        in_report=True,
    ),
    _score(
        name="perplexity",
        label="Perplexity",
        meaning="of this file on this engine and device",
        reason="perplexity_reason",
        heading="perplexity",
        decimals=3,
        in_report=True,
    ),
    _divergence(
        name="kld",
        label="KL divergence",
        unit="mnat",
        per_unit=_MILLI,
        values=Values.ANY,
        meaning="mean Kullback-Leibler divergence from the unquantized file, in nats",
        heading="KLD",
        decimals=2,
    ),
    _divergence(
        name="top1_agreement",
        label="Same likeliest token",
        unit="%",
        per_unit=_PERCENT,
        better=Better.HIGHER,
        values=Values.FRACTION,
        meaning="share of tokens where both files hold the same one for the likeliest",
    ),
    _divergence(
        name="delta_p",
        label="Change of the right token's probability",
        unit="%",
        per_unit=_PERCENT,
        better=Better.HIGHER,
        values=Values.ANY,
        meaning="mean change of the right token's probability (-1 to 1) against the unquantized "
        "file",
    ),
    _divergence(
        name="delta_p_rms",
        label="The same, root mean square",
        unit="%",
        per_unit=_PERCENT,
        meaning="the root of its mean square",
    ),
    _joules_per_token(
        name="decode_j_per_token",
        label="Decode energy per token",
        meaning="joules per output token",
        alias="energy",
        heading="decode",
        in_report=True,
    ),
    _watts(
        name="mean_w",
        label="Mean power",
        meaning="mean watts of prefill and decode together",
        alias="power",
        in_report=True,
    ),
    _watts(
        name="prefill_w", label="Prefill power", meaning="mean watts of prefill", heading="prefill"
    ),
    _watts(name="decode_w", label="Decode power", meaning="mean watts of decode", heading="decode"),
    _joules_per_token(
        name="prefill_j_per_token",
        label="Prefill energy per token",
        meaning="joules per prompt token",
        heading="prefill",
    ),
    _joules_per_token(
        name="decode_net_j_per_token",
        label="Decode energy per token, less idle",
        values=Values.ANY,
        meaning="`decode_net_j` per output token",
        reason="net_reason",
    ),
    _watts(
        name="prefill_peak_w",
        label="Peak power of prefill",
        meaning="the most watts between two readings of the meter in a prefill",
    ),
    _watts(
        name="decode_peak_w",
        label="Peak power of decode",
        meaning="the same of a decode",
    ),
    _energy(
        name="load_j",
        label="Energy of loading",
        unit="J",
        ends=Ends.NONE,
        meaning="joules of loading the model",
        reason="load_j_reason",
        heading="load",
    ),
    _part(name="prefill_j", label="Prefill energy", meaning="joules of one prefill"),
    _part(name="decode_j", label="Decode energy", meaning="joules of one decode"),
    _part(
        name="prefill_net_j",
        label="Prefill energy, less idle",
        values=Values.ANY,
        meaning="`prefill_j` less what the device at rest would have drawn in that time",
        reason="net_reason",
    ),
    _part(
        name="decode_net_j",
        label="Decode energy, less idle",
        values=Values.ANY,
        meaning="the same of a decode",
        reason="net_reason",
    ),
)
"""All metrics, in the order in which they are shown, and the columns that some are made of."""

METRICS: tuple[Metric, ...] = tuple(each for each in EVERY if each.offered)
"""All that can be chosen."""

RATES: tuple[str, ...] = tuple(each.name for each in EVERY if each.ends is Ends.BOOTSTRAP)
"""The columns of `rates` of which the summary of a trial has a median and an interval."""

RUN_TABLE: tuple[str, ...] = (
    "ttft_s",
    "prefill_tok_s",
    "decode_tok_s",
    "peak_rss_bytes",
    "perplexity",
    "kld",
    "accuracy",
    "load_j",
    "prefill_j_per_token",
    "decode_j_per_token",
    "prefill_w",
    "decode_w",
)
"""What the table at the end of a run has, from the left."""

ALIASES: Mapping[str, str] = {each.alias: each.name for each in METRICS if each.alias}
"""What people call some of them."""

_BY_NAME = {each.name: each for each in METRICS}
_BY_COLUMN = {each.name: each for each in EVERY}
_END = re.compile(r"_(low|high|mean)$")


def metric(name: str) -> Metric:
    """The metric of a name: that of a column, an alias, or `task:NAME` for the accuracy in a task.

    Raises:
        UsageError: There is none.
    """
    if name.startswith(TASK) and name != TASK:
        return _task(name)
    found = _BY_NAME.get(ALIASES.get(name, name))
    if found is None:
        raise UsageError(f"there is no metric {name!r}", nearest(name, [*ALIASES, *_BY_NAME]))
    return found


def of_column(column: str) -> Metric | None:
    """The metric that a column of `results` is the value, an end or the mean of, if any."""
    return _BY_COLUMN.get(_END.sub("", column))


def all_columns() -> tuple[str, ...]:
    """The columns of all metrics in the view `results`."""
    return tuple(column for each in EVERY for column in each.stored)


def _task(name: str) -> Metric:
    task = name.removeprefix(TASK)
    return Metric(
        name=name,
        label=f"Accuracy in {task}",
        better=Better.HIGHER,
        group=Group.QUALITY,
        unit="%",
        per_unit=_PERCENT,
        ends=Ends.STANDARD_ERROR,
        values=Values.FRACTION,
        missing=f"the file was not asked {task}",
        reason="accuracy_reason",
    )
