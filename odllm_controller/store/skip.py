"""What a skip is."""

from dataclasses import dataclass

from odllm_agent.contract import Engine, ModelFile, Workload


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
