"""What is measured: a model file on an engine with a workload, on one device."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from odllm_agent.contract.model import ModelFile
from odllm_agent.contract.wire import Scalar, _digest


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine with the settings of one trial.

    Attributes:
        name: The engine's name, such as `llama_cpp`.
        version: Its version on the device, the commit of its native code included.
        settings: Every setting by name, none left to a default.
        build: The id of its build on the device, or `""` where that is not known.
    """

    name: str
    version: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    build: str = ""


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
