"""What a result that comes from elsewhere must keep to, whoever wrote it.

A type says that a time is a number; it does not say that it is no more than a clock can tell. What
divides by it, takes its logarithm or stores it as a number of so many bits needs that too, and one
line of a file must not spoil the answers about all others.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from odllm_agent.contract import (
    Baseline,
    Ceiling,
    Device,
    Energy,
    Engine,
    FileState,
    ModelFile,
    Repeat,
    RoundResult,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import UsageError

# Far beyond anything that is measured, and far within what sums and ratios of floats can hold.
_MOST = 1e18
_LEAST = 1e-18
_MOST_COUNT = 2**31 - 1
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def check(value: object) -> None:
    """Checks a value of a contract type with all that is in it.

    Raises:
        ValueError: Something in it is no figure that could be measured, no text, or no engine's
            setting.
    """
    for each in _parts(value):
        if type(each) in _CHECKS:
            _CHECKS[type(each)](each)


def _parts(value: object) -> Iterator[object]:
    yield value
    for each in _inside(value):
        yield from _parts(each)


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, FileState):
        # Its numbers are 64 bits of a file system: compared, and never computed with.
        yield from (value.path, value.sha256)
    elif dataclasses.is_dataclass(value):
        yield from (getattr(value, field.name) for field in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        yield from value
        yield from value.values()
    elif isinstance(value, tuple):
        yield from value


def _float(value: float) -> None:
    if value and not _LEAST <= abs(value) <= _MOST:
        raise ValueError(f"{value} is no figure that could be measured")


def _int(value: int) -> None:
    if abs(value) > _MOST:
        raise ValueError(f"a number of {value.bit_length()} bits is no figure that was counted")


def _text(value: str) -> None:
    if "\0" in value:
        raise ValueError("a text holds a character of no text")
    value.encode()


def _moment(value: datetime) -> None:
    if value.tzinfo is None or not _FIRST <= value <= _LAST:
        raise ValueError(f"{value} is no time in UTC at which ODLLM can have run")


def _engine(value: Engine) -> None:
    try:
        settings = check_settings(value.name, value.settings)
    except (UsageError, TypeError) as error:
        raise ValueError(error.args[0]) from error
    _count("threads", settings["threads"])


def _model(value: ModelFile) -> None:
    _positive("n_weights", value.n_weights)
    _positive("weight_bytes", value.weight_bytes)


def _device(value: Device) -> None:
    _count("physical_cores", value.physical_cores)
    _count("logical_cores", value.logical_cores)
    _count("online_cpus", value.online_cpus or 0)
    _count("present_cpus", value.present_cpus or 0)
    if value.quota_cores is not None:
        _positive("quota_cores", value.quota_cores)


def _round(value: RoundResult | Baseline) -> None:
    _count("round", value.round)


def _repeat(value: Repeat) -> None:
    _count("index", value.index)
    for name, time_s in (("prefill_s", value.prefill_s), ("ttft_s", value.ttft_s)):
        _positive(name, time_s)
    for token_s in value.token_s:
        _positive("token_s", token_s)


def _energy(value: Energy) -> None:
    _positive("passes", value.passes)
    _count("passes", value.passes)
    if value.window_s is not None:
        _positive("window_s", value.window_s)


def _ceiling(value: Ceiling) -> None:
    if value.per_s is not None:
        _positive("per_s", value.per_s)


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{name} is {value}, which is not more than 0")


def _count(name: str, value: object) -> None:
    if not (isinstance(value, int) and 0 <= value <= _MOST_COUNT):
        raise ValueError(f"{name} is {value}, which is no count")


_CHECKS: Mapping[type, Callable[[Any], None]] = {
    float: _float,
    int: _int,
    str: _text,
    datetime: _moment,
    Baseline: _round,
    Device: _device,
    Engine: _engine,
    ModelFile: _model,
    Repeat: _repeat,
    RoundResult: _round,
    Energy: _energy,
    Ceiling: _ceiling,
}
