"""How long a trial will take: a rough guess, and what it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from odllm_agent.contract import Device, Forecast, ModelFile, Trial, Workload
from odllm_controller.analysis.queries.speeds import Speed
from odllm_controller.experiment.config import RepeatsConfig

# Assumed where nothing was measured, for a laptop of recent years: two channels of memory of which
# decode reaches about half, what one core multiplies in quantized prefill, an SSD, and Python.
_READ_BYTES_PER_S = 30e9
_OPERATIONS_PER_CORE_S = 50e9
_DISK_BYTES_PER_S = 1e9
_START_S = 0.5
ASSUMPTIONS = (
    f"weights are assumed to be read at {_READ_BYTES_PER_S / 1e9:.0f} GB/s, and each core to do "
    f"{_OPERATIONS_PER_CORE_S / 1e9:.0f} billion operations per second"
)
"""What an estimate rests on where nothing was measured."""

# What is assumed of a laptop may be off by several times, and a small model takes no time at all.
_DEADLINE_FACTOR = 10.0
_LEAST_DEADLINE_S = 600.0

# A multiplication and an addition with each weight for each token.
_OPERATIONS_PER_WEIGHT = 2


class TimeBasis(StrEnum):
    """What an estimate rests on; neither is a measurement of the trial itself."""

    STORED = "stored"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long all rounds of a trial will take.

    Attributes:
        estimate_s: Seconds if every round takes as many repeats as it may.
        basis: What that rests on.
    """

    estimate_s: float
    basis: TimeBasis


def estimate(
    forecast: Forecast,
    device: Device,
    speeds: Sequence[Speed],
    repeats: RepeatsConfig,
    rounds: int,
    wait_s: float = 0.0,
) -> Estimate | None:
    """How long a trial will take, or `None` if its model is not known.

    Decode reads all weights once per token, so its time grows with their bytes; prefill computes
    with all weights for every token, so its time grows with their number. Of a mixture of experts
    only those count that a token meets, but not where an earlier trial is scaled.

    Args:
        forecast: What the trial needs.
        device: Where it runs.
        speeds: How fast earlier trials were there. The one nearest in size on the same engine is
            scaled; without one, assumptions stand in.
        repeats: How often a round repeats it.
        rounds: The number of rounds.
        wait_s: How long the device may be let cool down before each.
    """
    if forecast.model is None:
        return None
    engine, workload = forecast.candidate.engine, forecast.candidate.workload
    speed, basis = _speed(forecast.model, engine.name, device, speeds)
    return Estimate(rounds * (wait_s + _round_s(speed, workload, repeats)), basis)


def round_deadline_s(
    trial: Trial,
    device: Device,
    speeds: Sequence[Speed],
    repeats: RepeatsConfig,
    at_most_s: float,
) -> float:
    """The time after which one round of a trial has gone wrong.

    Args:
        trial: What is measured.
        device: Where.
        speeds: How fast earlier trials were there.
        repeats: How often a round repeats it.
        at_most_s: The longest that any round may take.
    """
    speed, _ = _speed(trial.model, trial.engine.name, device, speeds)
    expected_s = _round_s(speed, trial.workload, repeats)
    return min(at_most_s, max(_LEAST_DEADLINE_S, _DEADLINE_FACTOR * expected_s))


def _speed(
    model: ModelFile, engine: str, device: Device, speeds: Sequence[Speed]
) -> tuple[Speed, TimeBasis]:
    """How fast a model will be, and what that rests on."""
    nearest = min(
        (each for each in speeds if each.engine == engine),
        key=lambda each: abs(math.log(each.weight_bytes / model.weight_bytes)),
        default=None,
    )
    if nearest:
        return _scaled(nearest, model), TimeBasis.STORED
    return _assumed(model, device), TimeBasis.ASSUMED


def _round_s(speed: Speed, workload: Workload, repeats: RepeatsConfig) -> float:
    handed_over = workload.depth_tokens + workload.prompt_tokens
    window_s = handed_over * speed.prefill_token_s + workload.output_tokens * speed.decode_token_s
    return speed.start_s + speed.load_s + (repeats.warmups + repeats.at_most) * window_s


def _scaled(speed: Speed, model: ModelFile) -> Speed:
    return Speed(
        engine=speed.engine,
        file_bytes=model.file_bytes,
        weight_bytes=model.weight_bytes,
        n_weights=model.n_weights,
        start_s=speed.start_s,
        load_s=speed.load_s * model.file_bytes / speed.file_bytes,
        prefill_token_s=speed.prefill_token_s * model.n_weights / speed.n_weights,
        decode_token_s=speed.decode_token_s * model.weight_bytes / speed.weight_bytes,
    )


def _assumed(model: ModelFile, device: Device) -> Speed:
    operations_per_s = _OPERATIONS_PER_CORE_S * device.within_quota(device.physical_cores)
    met = model.met_share()
    return Speed(
        engine="",
        file_bytes=model.file_bytes,
        weight_bytes=model.weight_bytes,
        n_weights=model.n_weights,
        start_s=_START_S,
        load_s=model.file_bytes / _DISK_BYTES_PER_S,
        prefill_token_s=_OPERATIONS_PER_WEIGHT * model.n_weights * met / operations_per_s,
        decode_token_s=model.weight_bytes * met / _READ_BYTES_PER_S,
    )
