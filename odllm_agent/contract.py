"""The types that cross the wire between controller, agent and worker.

All are immutable, hold plain values only, and turn into JSON and back (`to_json`, `from_json`).
A name carries its unit; a missing value is `None`, with its reason beside it.
"""

import dataclasses
import hashlib
import json
import traceback
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from odllm_agent.clock import now
from odllm_agent.errors import OdllmError

Scalar = bool | int | float | str
T = typing.TypeVar("T")


class Source(StrEnum):
    """Where a model comes from."""

    REFERENCE = "reference"
    FILE = "file"
    SHAPE = "shape"
    HUB = "hub"


class Format(StrEnum):
    """How a model lies on a disk: a GGUF file, or a folder of OpenVINO's own representation."""

    GGUF = "gguf"
    OPENVINO_IR = "openvino_ir"


class Quantization(StrEnum):
    """The types of weights that ODLLM makes from an F16 source, by llama.cpp's names."""

    F16 = "F16"
    Q8_0 = "Q8_0"
    Q5_K_M = "Q5_K_M"
    Q5_0 = "Q5_0"
    Q4_K_M = "Q4_K_M"
    Q4_0 = "Q4_0"
    Q3_K_M = "Q3_K_M"
    Q2_K = "Q2_K"


class DeviceKind(StrEnum):
    """Whether a device is a machine, a slice of one, or a formula."""

    REAL = "real"
    VIRTUAL = "virtual"
    SIMULATED = "simulated"


class EventKind(StrEnum):
    """What can happen in a fleet."""

    JOINED = "joined"
    LEFT = "left"
    REFUSED = "refused"
    DISPATCHED = "dispatched"
    STORED = "stored"
    HELD = "held"
    DAMAGED = "damaged"
    MODEL_ADDED = "model_added"
    MODEL_REMOVED = "model_removed"


class Method(StrEnum):
    """How an energy figure was obtained."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


class Phase(StrEnum):
    """What a device does while it is metered, each part apart."""

    LOAD = "load"
    PREFILL = "prefill"
    DECODE = "decode"
    IDLE = "idle"


REPEATED = (Phase.PREFILL, Phase.DECODE)
"""The phases of a repeat, which are timed too."""


class Use(StrEnum):
    """How often a window reads weights of a model."""

    TOKENS = "tokens"  # for every token
    OUTPUT = "output"  # where a token's logits are wanted
    LOOKUP = "lookup"  # one row for every token


class Stopped(StrEnum):
    """Why a round took no more repeats."""

    NARROW = "narrow"
    CAP = "cap"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model file that an experiment asks a device to have.

    Attributes:
        name: The model's name in the experiment, such as `reference-1.6M`.
        source: Where the unquantized (or ready) file comes from.
        location: The reference model's name, a path on the device, an architecture's name, or a
            file of a hub as `OWNER/REPOSITORY/FILE@REVISION`. Of a split model it names the first
            part.
        quantization: The type to make, or `None` to take the file as it is.
        sha256: The checksum that the source must have, or `None` if none was stated.
        seed: What the weights of a shape are drawn from.
    """

    name: str
    source: Source
    location: str
    quantization: Quantization | None = None
    sha256: str | None = None
    seed: int = 0

    @property
    def label(self) -> str:
        """What people are told: its name and type."""
        return f"{self.name} {self.quantization or 'as it is'}"


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """Weights of one type that a model uses in one way.

    Attributes:
        use: How often a window reads them.
        type: Their type by the engine's name, such as ggml's `Q4_K` or OpenVINO's `u4`.
        n_bytes: Their bytes; of those that are looked up, the bytes of a row.
        n_multiplied: How many of them are multiplied with an activation each time they are read.
    """

    use: Use
    type: str
    n_bytes: int
    n_multiplied: int = 0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What a model consists of, as far as its speed depends on it.

    Attributes:
        weights: Its weights by use and type; none where they cannot be told.
        kv_values: Keys and values that each token leaves in the KV cache, in all blocks together.
        query_values: Values of the queries that each token asks it with, in all blocks together.
        reason: Why this cannot be told, or `""`.
    """

    weights: tuple[WeightGroup, ...] = ()
    kv_values: int = 0
    query_values: int = 0
    reason: str = ""

    @classmethod
    def of(cls, parts: Iterable[WeightGroup], kv_values: int, query_values: int) -> "Anatomy":
        """What a model consists of, its weights in any parts and order."""
        sums: dict[tuple[Use, str], tuple[int, int]] = {}
        for part in parts:
            n_bytes, n_multiplied = sums.get((part.use, part.type), (0, 0))
            summed = n_bytes + part.n_bytes, n_multiplied + part.n_multiplied
            sums[part.use, part.type] = summed
        groups = tuple(WeightGroup(*key, *amounts) for key, amounts in sorted(sums.items()))
        return cls(groups, kv_values, query_values)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file as it lies on a device, described by its own content.

    Attributes:
        name: The model's name in the experiment.
        quantization: The type by llama.cpp's name; of a ready file, what its header says.
        sha256: The checksum of the file's bytes; of a split model, that of the list of its parts'
            checksums, one a line.
        path: Where the file, or the first part, lies on the device; not part of a trial's identity.
        file_bytes: The size of the file, or of all parts.
        weight_bytes: The bytes of all weight tensors.
        n_weights: The number of weights in them.
        architecture: The architecture's name in the header, such as `qwen2`.
        context_tokens: The longest context that the model was made for.
        tensor_types: The distinct types of its tensors, sorted; of a GGUF file by ggml's names.
        format: How it lies on the disk.
        no_quality: Why its quality cannot be told, or `""`.
        anatomy: What it consists of.
    """

    name: str
    quantization: str
    sha256: str
    path: str
    file_bytes: int
    weight_bytes: int
    n_weights: int
    architecture: str
    context_tokens: int
    tensor_types: tuple[str, ...] = ()
    format: Format = Format.GGUF
    no_quality: str = ""
    anatomy: Anatomy = Anatomy(reason="the model's description does not tell what it consists of")

    @property
    def label(self) -> str:
        """What people are told: its name and type."""
        return f"{self.name} {self.quantization}"

    @property
    def file_bpw(self) -> float:
        """Bits per weight: 8 x bytes of all weight tensors / number of weights."""
        return 8 * self.weight_bytes / self.n_weights


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model file is that is being fetched or made.

    Attributes:
        what: What is done, such as `fetching tiny-F16.gguf` or `making Q4_0`.
        done_bytes: What is there of it.
        total_bytes: What it will have; of a file whose size is not known, what it surely has.
    """

    what: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine with the settings of one trial.

    Attributes:
        name: The engine's name, such as `llama_cpp`.
        version: Its version on the device, the commit of its native code included.
        settings: Every setting by name, none left to a default.
    """

    name: str
    version: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """What a repeat asks of the engine, in token ids drawn from a seed.

    Attributes:
        name: The workload's name in the experiment.
        prompt_tokens: Tokens handed over in one go.
        output_tokens: Tokens decoded one after another.
        depth_tokens: Tokens already in the context when the prompt comes; not timed.
        seed: What the token ids are drawn from.
    """

    name: str
    prompt_tokens: int
    output_tokens: int
    depth_tokens: int = 0
    seed: int = 0

    @property
    def context_tokens(self) -> int:
        """The context that the workload needs."""
        return self.depth_tokens + self.prompt_tokens + self.output_tokens


# Without slots, so that it can keep its id: a planner asks for the same one thousands of times.
@dataclass(frozen=True)
class Trial:
    """One model file x engine x settings x workload on one device."""

    device_id: str
    model: ModelFile
    engine: Engine
    workload: Workload

    @cached_property
    def id(self) -> str:
        """A hash of exactly what is measured; names and paths do not count."""
        return _digest(
            {
                "device": self.device_id,
                "model": self.model.sha256,
                "engine": dataclasses.asdict(self.engine),
                "workload": dataclasses.asdict(self.workload) | {"name": None},
            }
        )


@dataclass(frozen=True, slots=True)
class Skip:
    """A trial that is not tried, because it cannot run on its device.

    Attributes:
        device_id: The device.
        model: The model file as it is or would be; one that is never made has no checksum.
        engine: The engine with its settings.
        workload: What would have been asked of it.
        reason: Why it cannot run.
    """

    device_id: str
    model: ModelFile
    engine: Engine
    workload: Workload
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What would be a trial once its model file is there.

    Attributes:
        request: The model file that it needs.
        engine: The engine with its settings.
        workload: What would be asked of it.
    """

    request: ModelRequest
    engine: Engine
    workload: Workload


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a trial's worker, in parts.

    Attributes:
        baseline_bytes: The process itself, with the engine's code and the model's vocabulary.
        mapped_bytes: Weights that are mapped from the file.
        unread_bytes: The part of them that is not read again once the model is loaded, because
            the engine keeps a copy; the system can drop it at no cost.
        loaded_bytes: Weights in memory of the process's own, read or laid out anew.
        kv_bytes: The KV cache.
        compute_bytes: What the windows need of the buffers for computing.
        header_bytes: The file's header, mapped only while the model is loaded.
    """

    baseline_bytes: int
    mapped_bytes: int
    unread_bytes: int
    loaded_bytes: int
    kv_bytes: int
    compute_bytes: int
    header_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The peak resident set: that of loading or that of computing, whichever is larger."""
        weights = self.mapped_bytes + self.loaded_bytes
        return self.baseline_bytes + weights + max(self.header_bytes, self._context_bytes)

    @property
    def needed_bytes(self) -> int:
        """What must stay in memory while the windows are measured."""
        weights = self.mapped_bytes - self.unread_bytes + self.loaded_bytes
        return self.baseline_bytes + weights + self._context_bytes

    @property
    def _context_bytes(self) -> int:
        return self.kv_bytes + self.compute_bytes


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The order to load a model without its weights, to learn what the rest needs.

    Attributes:
        model: A file with the model's header; its weights may be a hole and of any type.
        engine: The engine with its settings.
        workload: What would be asked of it.
        meters: Names of the power meters that would be read.
        deadline_s: The time after which the worker is ended.
    """

    model: ModelFile
    engine: Engine
    workload: Workload
    meters: tuple[str, ...] = ()
    deadline_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a worker found when it loaded a model without its weights.

    Attributes:
        baseline_bytes: The peak resident set of its process.
        log: What the engine said.
    """

    baseline_bytes: int
    log: str = ""


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

    def failed(self, failure: "Failure") -> "RoundResult":
        """The result if it could not even be tried."""
        return RoundResult(self.trial, self.round, now(), 0.0, failure=failure)


@dataclass(frozen=True, slots=True)
class Rest:
    """The order to watch a device while nothing is measured on it.

    Attributes:
        device_id: The device.
        round: The round of trials that comes next.
        meters: Names of the power meters to read.
        idle_s: For how long, if one of them measures; if none does, for a second at most.
    """

    device_id: str
    round: int
    meters: tuple[str, ...]
    idle_s: float

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"at rest before round {self.round + 1}"

    def failed(self, failure: "Failure") -> "Baseline":
        """The result if it could not even be tried."""
        return Baseline(self.device_id, self.round, now(), 0.0, failure=failure)


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
class Failure:
    """An error as data.

    Attributes:
        kind: The error's name, such as `ModelInvalid`.
        message: What went wrong, naming the culprit.
        remedy: What to do about it.
        traceback: The Python traceback, for whoever asks.
        signal: The name of the signal that ended the worker, such as `SIGKILL`.
        log: The last lines of the worker's log.
    """

    kind: str
    message: str
    remedy: str = ""
    traceback: str = ""
    signal: str | None = None
    log: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that stands for an error."""
        kind = type(error).__name__
        return cls(
            kind=kind,
            message=error.message if isinstance(error, OdllmError) else str(error) or kind,
            remedy=error.remedy if isinstance(error, OdllmError) else "",
            traceback="".join(traceback.format_exception(error)),
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a candidate will need on a device, told before anything is made.

    Attributes:
        candidate: What was asked about.
        model: The model file as it will be, without path or checksum; `None` after a failure.
        download_bytes: What will have to be fetched for it.
        disk_bytes: What will be newly written into the device's cache.
        memory: What its worker will need, or `None` where the engine cannot tell.
        reason: Why the engine cannot tell, or `""`.
        available_bytes: The memory that the device had free when it was asked.
        failure: Why there is no forecast, or `None`.
    """

    candidate: Candidate
    model: ModelFile | None = None
    download_bytes: int = 0
    disk_bytes: int = 0
    memory: Memory | None = None
    reason: str = ""
    available_bytes: int = 0
    failure: Failure | None = None


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


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a device does while nothing is measured on it, with the agent and Ray there.

    Attributes:
        device_id: The device.
        round: The round of trials that came next.
        started_at: When the device was first looked at, in UTC.
        wall_s: For how long it was watched.
        own_cores: CPU seconds per second that the agent and Ray spent.
        own_bytes: Memory that would be free without them.
        busy_cores: CPU seconds per second that everything on the device spent.
        reason: Why something of the agent's and Ray's own is missing, or `""`.
        energy: Per domain.
        failure: Why the device could not be watched, or `None`.
    """

    device_id: str
    round: int
    started_at: datetime
    wall_s: float
    own_cores: float | None = None
    own_bytes: int | None = None
    busy_cores: float | None = None
    reason: str = ""
    energy: tuple[Energy, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is read, to see how well a model foresees it.

    Attributes:
        text: The text's name, or its path on the device.
        sha256: The checksum of the text.
        window_tokens: Tokens per context window.
        max_windows: Windows after which to stop, or `None` to read all.
        metrics: The scores wanted, of `perplexity`, `kld`, `top1_agreement`, `delta_p` and
            `delta_p_rms`.
    """

    text: str
    sha256: str
    window_tokens: int
    max_windows: int | None
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """A task whose questions a model answers.

    Attributes:
        task: The task's name, or the path of its file on the device.
        sha256: The checksum of its content.
        limit: Questions after which to stop, or `None` to ask all.
        allow_code: Whether code that the model writes may be run.
    """

    task: str
    sha256: str
    limit: int | None
    allow_code: bool = False


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """The order to find out how good one model file is on one engine.

    Exactly one of `reading` and `exam` is set.

    Attributes:
        device_id: The device that computes it.
        model: The file.
        engine: The engine with its settings.
        reading: The text to read.
        exam: The task to solve.
        base: The unquantized file to compare with, or `None`.
        base_reason: Why there is none; empty where there is one, or none is needed.
        deadline_s: The time after which the worker is ended.
    """

    device_id: str
    model: ModelFile
    engine: Engine
    reading: Reading | None = None
    exam: Exam | None = None
    base: ModelFile | None = None
    base_reason: str = ""
    deadline_s: float = 3600.0

    @property
    def id(self) -> str:
        """A hash of exactly what is computed; names and paths do not count."""
        subject = self.reading or self.exam
        content = dataclasses.asdict(subject) if subject else {}
        return _digest(
            {
                "device": self.device_id,
                "model": self.model.sha256,
                "engine": dataclasses.asdict(self.engine),
                "base": self.base.sha256 if self.base else None,
                "subject": content | {"text": None, "task": None},
            }
        )

    @property
    def subject(self) -> str:
        """The name of the text or task."""
        return self.reading.text if self.reading else self.exam.task if self.exam else ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the scores that it gives."""
        return self.reading.metrics if self.reading else ("accuracy",)

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"{self.model.label}, quality on {self.subject}"

    def failed(self, failure: "Failure") -> "QualityResult":
        """The result if it could not even be tried."""
        return QualityResult(self, failure=failure)


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of a quality check.

    Attributes:
        metric: Its name, one of the check's metrics.
        value: The figure, or `None`.
        standard_error: Of the value, or `None`.
        n: The tokens or questions that it rests on.
        reason: Why there is no value; empty where there is one.
    """

    metric: str
    value: float | None
    standard_error: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What a quality check gave.

    Attributes:
        check: What was asked.
        scores: One per metric of the check, unless it failed.
        wall_s: From starting the worker to its end.
        failure: Why there are no scores, or `None`.
    """

    check: QualityCheck
    scores: tuple[Score, ...] = ()
    wall_s: float = 0.0
    failure: Failure | None = None

    @property
    def complete(self) -> bool:
        """Whether trying again would bring nothing new.

        A score that is missing although there is a file to compare with wanted only memory.
        """
        missing = any(score.value is None for score in self.scores)
        return self.failure is None and not (self.check.base and missing)


READ = "read"
"""The name of the ceiling of bytes read from memory per second."""


@dataclass(frozen=True, slots=True)
class CeilingsOrder:
    """The order to find out the most that a device does with an engine and so many threads.

    Attributes:
        device_id: The device.
        engine: The engine with its settings.
        names: The ceilings wanted: `read`, and the types of weights to multiply with.
        deadline_s: The time after which the worker is ended.
    """

    device_id: str
    engine: Engine
    names: tuple[str, ...]
    deadline_s: float = 300.0

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"what it does at most with {self.engine.name}"

    def failed(self, failure: "Failure") -> "Ceilings":
        """The result if it could not even be tried."""
        return Ceilings(self, now(), failure=failure)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a device does of one thing.

    Attributes:
        name: `read`, or the type of the weights of a matrix product by the engine's name.
        per_s: Bytes read, or operations, per second: the best of several passes, or `None`.
        method: How it was measured.
        reason: Why there is no figure; empty where there is one.
    """

    name: str
    per_s: float | None
    method: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a device does at most.

    Attributes:
        order: What was asked.
        measured_at: When, in UTC.
        found: One per name of the order, unless it failed.
        failure: Why there are none, or `None`.
    """

    order: CeilingsOrder
    measured_at: datetime
    found: tuple[Ceiling, ...] = ()
    failure: Failure | None = None


Order = Measurement | QualityCheck | Rest | CeilingsOrder
"""What an agent can be told to do; its result is kept until it is stored."""

Result = RoundResult | QualityResult | Baseline | Ceilings
"""What comes of an order."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a fleet.

    Attributes:
        at: When, in UTC.
        kind: What.
        device_id: The device that it happened to.
        detail: The rest, in words.
    """

    at: datetime
    kind: EventKind
    device_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """For whom a result was made.

    Attributes:
        store_id: The store that it belongs in.
        run_id: The run that asked for it.
    """

    store_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Errand:
    """An order, and what its agent must know with it.

    Attributes:
        order: What is to be done.
        tag: For whom.
        limits: When the device may do it.
        stored: The ids of the entries that the store has taken since the last errand, which the
            agent need keep no longer.
    """

    order: "Order"
    tag: Tag
    limits: "Limits"
    stored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What an agent keeps on its device's disk until a controller has stored it.

    One of `measured`, `checked`, `rested`, `ceilings` and `event` is set.

    Attributes:
        id: Its name in the journal of its device; later ones sort behind earlier ones.
        tag: For whom it was made; `None` of an event, which whoever comes first stores.
        measured: The result of a `Measurement`.
        checked: The result of a `QualityCheck`.
        rested: The result of a `Rest`.
        ceilings: The result of a `CeilingsOrder`.
        event: What the device saw itself.
        unkept: Why it does not lie on the device's disk, or `""`.
    """

    id: str
    tag: Tag | None = None
    measured: RoundResult | None = None
    checked: QualityResult | None = None
    rested: Baseline | None = None
    ceilings: Ceilings | None = None
    event: Event | None = None
    unkept: str = ""

    @classmethod
    def of(cls, entry_id: str, content: Result | Event, tag: Tag | None) -> "Entry":
        """The entry that holds a result or an event."""
        return cls(entry_id, tag, **{_ENTRY_FIELDS[type(content)]: content})  # type: ignore[arg-type]

    @property
    def result(self) -> Result | None:
        """The result in it; `None` of an event."""
        return self.measured or self.checked or self.rested or self.ceilings

    def answers(self, order: Order) -> bool:
        """Whether this is what came of an order."""
        if isinstance(order, Measurement):
            found = self.measured
            return bool(found and (found.trial.id, found.round) == (order.trial.id, order.round))
        if isinstance(order, QualityCheck):
            return bool(self.checked and self.checked.check.id == order.id)
        if isinstance(order, Rest):
            return bool(self.rested and self.rested.round == order.round)
        return bool(self.ceilings and self.ceilings.order == order)


_ENTRY_FIELDS = {
    RoundResult: "measured",
    QualityResult: "checked",
    Baseline: "rested",
    Ceilings: "ceilings",
    Event: "event",
}


@dataclass(frozen=True, slots=True)
class Collected:
    """What lies in a device's journal for one store.

    Attributes:
        entries: The oldest of it.
        more: Whether there is more than these.
        damaged: What could not be read and was set aside, a line each.
    """

    entries: tuple[Entry, ...] = ()
    more: bool = False
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Underway:
    """What an agent is doing.

    Attributes:
        what: In words.
        since: When it began, in UTC.
        tag: For whom.
    """

    what: str
    since: datetime
    tag: Tag


@dataclass(frozen=True, slots=True)
class Limits:
    """When a device may be measured on; what is not set does not matter.

    Attributes:
        hours: A time of the device's own day, such as `22:00-06:00`.
        on_mains: Whether it must not run on its battery.
        min_battery_percent: How full its battery must be, if it has one.
        max_temperature_c: How hot its CPU may be.
    """

    hours: str | None = None
    on_mains: bool = False
    min_battery_percent: float | None = None
    max_temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a device may not measure now.

    Attributes:
        reason: In words, or `""` if it may.
        for_good: Whether waiting does not help.
    """

    reason: str = ""
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """A model that lies in a device's cache, or a file that is not finished.

    Attributes:
        sha256: The checksum of the model; of an unfinished file, the name that it has meanwhile.
        origin: What people call it: where it came from, or what it was made of.
        quantization: Its type; `unfinished` or `damaged` if it cannot be told.
        file_bytes: Its size.
        used_at: When it was last asked for, in UTC.
    """

    sha256: str
    origin: str
    quantization: str
    file_bytes: int
    used_at: datetime


@dataclass(frozen=True, slots=True)
class CeilingKey:
    """What a ceiling is one of; one that is known need not be measured again.

    Attributes:
        device_id: The device.
        engine: The engine's name.
        engine_version: Its version.
        threads: The threads that it was told to use.
        name: `read`, or the type of the weights that are multiplied.
    """

    device_id: str
    engine: str
    engine_version: str
    threads: int
    name: str


@dataclass(frozen=True, slots=True)
class MissingDomain:
    """A domain that a power meter would read and cannot.

    Attributes:
        domain: The domain.
        reason: Why it is not read.
        remedy: How to allow it, or `""` where nothing does.
    """

    domain: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """What a power meter can read on a device.

    Attributes:
        name: The meter's name.
        domains: What it reads; empty where it reads nothing.
        method: How its figures are obtained.
        reason: Why it reads nothing, or `""`.
        remedy: How to allow it, or `""`.
        means: What its figures are made of, such as `energy counter` or `integrated power`.
        step_j: The smallest step of its figures, or `None` where it is not known.
        period_s: The time between two updates of its sensor, or `None` where it reads nothing.
        read_s: What one reading of all its domains cost when it was opened, or `None`.
        missing: Domains of its kind that this device does not let it read.
    """

    name: str
    domains: tuple[str, ...]
    method: Method
    reason: str = ""
    remedy: str = ""
    means: str = ""
    step_j: float | None = None
    period_s: float | None = None
    read_s: float | None = None
    missing: tuple[MissingDomain, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """What a device is.

    Attributes:
        id: A hash that stays the same across restarts.
        name: What people call it.
        kind: A machine, a slice of one, or a formula.
        system: The operating system and its version.
        cpu: The processor's name.
        physical_cores: Cores, hyper-threads not counted.
        logical_cores: Hardware threads that this process may use.
        ram_bytes: Memory in all.
        python_version: The agent's Python.
        odllm_version: The agent's own version.
        engines: Version of every engine that the agent has, by name.
        meters: What each power meter can read.
        core_types: Cores of each type, hyper-threads not counted; empty where all are alike or the
            system does not tell.
    """

    id: str
    name: str
    kind: DeviceKind
    system: str
    cpu: str
    physical_cores: int
    logical_cores: int
    ram_bytes: int
    python_version: str
    odllm_version: str
    engines: Mapping[str, str]
    meters: tuple[MeterReport, ...]
    core_types: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What people are told: its name, and what it is if it is no machine."""
        return self.name if self.kind is DeviceKind.REAL else f"{self.name} ({self.kind})"


def to_json(value: object) -> str:
    """One line of JSON that `from_json` turns back into an equal value."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def from_json(kind: type[T], text: str | bytes) -> T:
    """The value of a contract type that a line of JSON stands for.

    Args:
        kind: A dataclass of this module.
        text: What `to_json` gave.

    Raises:
        ValueError: The text is not JSON, or a value is none of its type's.
        TypeError: A field is missing or unknown.
    """
    return from_plain(kind, json.loads(text))


def from_plain(kind: type[T], value: object) -> T:
    """The value of a contract type that a dictionary read from JSON stands for.

    Raises:
        ValueError: A value is none of its type's.
        TypeError: A field is missing or unknown.
    """
    typed: T = _typed(kind, value)
    return typed


def _digest(content: object) -> str:
    return hashlib.sha256(to_json(content).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _typed(kind: typing.Any, value: typing.Any) -> typing.Any:
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, _of(dict, value))
    if types.NoneType in arguments:
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _typed(inner, value)
    if typing.get_origin(kind) is tuple:
        return tuple(_typed(arguments[0], item) for item in _of(list, value))
    if typing.get_origin(kind) is Mapping:
        return {key: _typed(arguments[1], item) for key, item in _of(dict, value).items()}
    return _scalar(kind, value)


def _dataclass(kind: type, value: Mapping[str, object]) -> object:
    hints = typing.get_type_hints(kind)
    unknown = value.keys() - hints.keys()
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {min(unknown)!r:.80}")
    return kind(**{name: _typed(hints[name], item) for name, item in value.items()})


def _scalar(kind: typing.Any, value: typing.Any) -> typing.Any:
    if kind is datetime:
        return datetime.fromisoformat(_of(str, value))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(_of(str, value))
    if kind is float and type(value) is int:
        return float(value)
    return _of(kind, value)


def _of(kind: typing.Any, value: T) -> T:
    """The value, if it is of a type, or of one of a union of them."""
    if type(value) not in (typing.get_args(kind) or (kind,)):
        raise ValueError(f"{value!r:.80} is no {getattr(kind, '__name__', kind)}")
    return value
