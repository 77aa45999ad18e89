"""What a trial will need."""

from dataclasses import dataclass

from odllm_agent.contract.failure import Failure
from odllm_agent.contract.model import ModelFile, ModelRequest
from odllm_agent.contract.trial import Engine, Workload


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
