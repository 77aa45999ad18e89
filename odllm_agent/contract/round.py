"""One trial in one round: the order, and what was measured."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from odllm_agent.clock import now
from odllm_agent.contract.device import Method
from odllm_agent.contract.failure import Failure
from odllm_agent.contract.trial import Trial


class Phase(StrEnum):
    """What a device does while it is metered, each part apart."""

    LOAD = "load"
    PREFILL = "prefill"
    DECODE = "decode"
    IDLE = "idle"


REPEATED = (Phase.PREFILL, Phase.DECODE)
"""The phases of a repeat, which are timed too."""


class Stopped(StrEnum):
    """Why a round took no more repeats."""

    NARROW = "narrow"
    CAP = "cap"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HeldMemory:
    """What a worker held when its last repeat had ended, in parts.

    `rss_bytes` less the mapped and the anonymous part is code: that of Python and of the engine.
    Weights, KV cache and buffers are parts of the anonymous one; the rest of it is the process's
    own. A buffer is counted at the size that the engine asked for, of which it may not have touched
    all.

    Attributes:
        rss_bytes: The resident set.
        mapped_bytes: The part of it that is the model's files.
        anonymous_bytes: The part of it that no file backs.
        swapped_bytes: What of the process was swapped out.
        loaded_bytes: Weights in memory of the process's own, read or laid out anew.
        kv_bytes: The KV cache.
        compute_bytes: The buffers for computing and for logits.
        reason: Why a part is not told; empty where all are.
    """

    rss_bytes: int | None = None
    mapped_bytes: int | None = None
    anonymous_bytes: int | None = None
    swapped_bytes: int | None = None
    loaded_bytes: int | None = None
    kv_bytes: int | None = None
    compute_bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RepeatPolicy:
    """How often a round measures a trial.

    Attributes:
        warmups: Runs before the first measured one; stored, marked, never counted.
        at_least: Measured repeats that every round takes.
        at_most: Measured repeats after which a round stops in any case.
        interval_target: A round stops once the 95 % interval of the trial's median decode speed
            is narrower than this fraction of it (full width), its repeats taken for independent.
    """

    warmups: int = 1
    at_least: int = 3
    at_most: int = 10
    interval_target: float = 0.02


@dataclass(frozen=True, slots=True)
class Cooldown:
    """What a device waits for before it measures a trial.

    Attributes:
        below_c: The temperature that it waits for in degrees Celsius, or `None` not to wait for
            one.
        at_most_s: The time after which a trial begins however hot the device is.
        pause_s: A time that is waited in any case.
    """

    below_c: float | None = None
    at_most_s: float = 60.0
    pause_s: float = 0.0

    @property
    def longest_s(self) -> float:
        """The most that is waited."""
        return self.pause_s + (0.0 if self.below_c is None else self.at_most_s)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The order to measure one trial in one round.

    Attributes:
        trial: What to measure.
        round: Which pass over the device's trials this is, from 0.
        policy: How often to repeat.
        meters: Names of the power meters to read.
        earlier_decode_tok_s: Decode speeds of the trial's earlier rounds, for stopping.
        deadline_s: The time after which the worker is ended.
        cooldown: What is waited for before the worker is started.
    """

    trial: Trial
    round: int
    policy: RepeatPolicy
    meters: tuple[str, ...] = ()
    earlier_decode_tok_s: tuple[float, ...] = ()
    deadline_s: float = 3600.0
    cooldown: Cooldown = Cooldown()

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"{self.trial.model.label}, round {self.round + 1}, {self.trial.workload.name}"

    @property
    def longest_s(self) -> float:
        """The most that it takes its device."""
        return self.cooldown.longest_s + self.deadline_s

    def failed(self, failure: "Failure") -> "RoundResult":
        """The result if it could not even be tried."""
        return RoundResult(self.trial, self.round, now(), 0.0, failure=failure)


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of one domain in one window.

    Attributes:
        phase: What the window was of.
        domain: What was metered: `package`, `core`, `uncore`, `dram`, `psys`, `gpu`, `battery` or
            `wall`.
        meter: The meter's name.
        method: How the figure was obtained.
        energy_j: Joules of the whole window, or `None`.
        reason: Why there is no figure; empty where there is one.
        window_s: The seconds between the readings at the window's edges, where there is a figure.
        uncertainty_j: How far off the figure may be, by the counter's step and updates.
        passes: How often the phase was gone through in the window.
    """

    phase: Phase
    domain: str
    meter: str
    method: Method
    energy_j: float | None
    reason: str = ""
    window_s: float | None = None
    uncertainty_j: float | None = None
    passes: int = 1


@dataclass(frozen=True, slots=True)
class PowerSample:
    """The mean power of one domain between two readings of a meter.

    Attributes:
        phase: What the window was of.
        domain: What was metered.
        meter: The meter's name.
        start_s: The first reading, in seconds since the start of the repeat or load.
        end_s: The second reading, likewise.
        power_w: The mean power between them.
    """

    phase: Phase
    domain: str
    meter: str
    start_s: float
    end_s: float
    power_w: float


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What could disturb a measurement, read before and after every repeat.

    Attributes:
        on_battery: Whether the device runs on its battery; `None` where it has none.
        governor: The CPU frequency governor, where the system tells.
        frequency_hz: The mean CPU frequency, where the system tells.
        temperature_c: The hottest CPU sensor, where there is one.
        throttle_count: Thermal throttle events since boot, where the system counts them.
        available_bytes: Memory that can be had without swapping.
        swapped_bytes: Bytes swapped in and out since boot, where the system counts them.
        busy_s: CPU seconds spent by everything on the device since boot.
        own_cpu_s: CPU seconds spent by the process that measures.
        power_profile: What the firmware is set to save or spend, such as `balanced`.
        energy_preference: What the processor is told to prefer, such as `balance_performance`.
        battery_percent: How full the device's batteries are, where it has any.
        top_frequency_hz: The frequency of the fastest CPU, where the system tells.
        quota_throttle_count: Periods in which the control groups that this process is in had used
            up their processor time, where any of them counts them.
    """

    on_battery: bool | None
    governor: str | None
    frequency_hz: float | None
    temperature_c: float | None
    throttle_count: int | None
    available_bytes: int
    swapped_bytes: int | None
    busy_s: float
    own_cpu_s: float
    power_profile: str | None = None
    energy_preference: str | None = None
    battery_percent: float | None = None
    top_frequency_hz: float | None = None
    quota_throttle_count: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a phase reads and computes at least, with weights or keys and values of one type.

    Of prefill it is told for the whole prompt, of decode for the mean output token.

    Attributes:
        phase: The phase.
        type: Their type by the engine's name.
        read_bytes: The bytes that have to be read.
        operations: Multiplications and additions.
    """

    phase: Phase
    type: str
    read_bytes: float
    operations: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the worker says once the model is ready.

    Attributes:
        load_s: From the call that opens the file to a context ready for tokens.
        runtime_bpw: Bits per weight of what the engine holds, which may differ from the file's.
        system: What the engine says of the processor features it uses.
        work: What the windows read and compute at least, by phase and type.
        no_work: Why that cannot be told, or `""`.
        energy: Of the load, per domain.
        power: Of the load, per domain, where a meter measures.
    """

    load_s: float
    runtime_bpw: float | None
    system: str
    work: tuple[Work, ...] = ()
    no_work: str = ""
    energy: tuple[Energy, ...] = ()
    power: tuple[PowerSample, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """One run of a workload, raw.

    Attributes:
        index: Its place in the round, warm-ups included, from 0.
        warmup: Whether it is a warm-up.
        started_at: When it began, in UTC.
        prefill_s: Prompt handed over -> its last logits ready.
        ttft_s: Prompt handed over -> first output token chosen.
        token_s: The time of each decoded token, shape (output_tokens,).
        energy: Per phase and domain.
        before: The device's state before the repeat.
        after: The device's state after it.
        flags: What disturbed the repeat, such as `busy` or `throttled`.
        wall_s: From the state before it to the state after it.
        more_prefill_s: The times of further prefills, gone through only to make the window long
            enough for a power meter.
        more_decode_s: The times of further decodes, likewise.
        power: Per phase and domain, where a meter measures.
    """

    index: int
    warmup: bool
    started_at: datetime
    prefill_s: float
    ttft_s: float
    token_s: tuple[float, ...]
    energy: tuple[Energy, ...]
    before: DeviceState
    after: DeviceState
    flags: tuple[str, ...] = ()
    wall_s: float | None = None
    more_prefill_s: tuple[float, ...] = ()
    more_decode_s: tuple[float, ...] = ()
    power: tuple[PowerSample, ...] = ()

    @property
    def decode_s(self) -> float:
        """Seconds of all decoded tokens together."""
        return sum(self.token_s)

    @property
    def decode_tok_s(self) -> float:
        """Decoded tokens per second."""
        return len(self.token_s) / self.decode_s


@dataclass(frozen=True, slots=True)
class Finished:
    """The worker's last word.

    Attributes:
        stopped: Why it took no more repeats.
        interval_width: The full width of the decode speed's 95 % interval as a fraction of its
            median, or `None` where too few repeats give none.
        peak_rss_bytes: The worker's peak resident set.
        held: What it held at its end, in parts.
    """

    stopped: Stopped
    interval_width: float | None
    peak_rss_bytes: int
    held: HeldMemory = HeldMemory()


@dataclass(frozen=True, slots=True)
class RoundResult:
    """Everything that one round of one trial gave, whether it ended well or not.

    Attributes:
        trial: What was measured.
        round: Which pass it was.
        started_at: When the worker was started, in UTC.
        wall_s: From starting the worker to its end.
        loaded: The load, unless it failed.
        repeats: What was measured, also if the worker failed later.
        finished: The end, unless the worker failed.
        failure: Why the worker failed, or `None`.
        waited_s: How long the device was let cool down before.
        available_before_bytes: The memory that could be had before the worker was started.
        available_after_bytes: The same once it had ended.
    """

    trial: Trial
    round: int
    started_at: datetime
    wall_s: float
    loaded: Loaded | None = None
    repeats: tuple[Repeat, ...] = ()
    finished: Finished | None = None
    failure: Failure | None = None
    waited_s: float = 0.0
    available_before_bytes: int | None = None
    available_after_bytes: int | None = None

    @property
    def ran(self) -> Trial:
        """What ran on an engine."""
        return self.trial

    @property
    def device_id(self) -> str:
        """Where."""
        return self.trial.device_id

    @property
    def stopped(self) -> Stopped:
        """Why the round took no more repeats."""
        return self.finished.stopped if self.finished else Stopped.FAILED

    @property
    def complete(self) -> bool:
        """Whether the round need not be measured again."""
        return self.finished is not None and self.failure is None

    @property
    def decode_tok_s(self) -> tuple[float, ...]:
        """The decode speed of every measured repeat."""
        return tuple(repeat.decode_tok_s for repeat in self.repeats if not repeat.warmup)
