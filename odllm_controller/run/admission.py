"""Which devices may take part."""

from odllm_agent.contract import Device
from odllm_agent.errors import DispatchError
from odllm_agent.host.versions import Versions


def why_refused(device: Device) -> str:
    """Why a device may not take part, or `""`: results of two versions would not compare."""
    here = Versions.here()
    there = Versions(here.ray, device.python_version, device.odllm_version)
    told = here.differences(there)
    return f"{', '.join(told)}; install the same versions on both" if told else ""


def nobody() -> DispatchError:
    """The error that a fleet has no device."""
    return DispatchError(
        "there is no device in the fleet",
        "let one join with `odllm-agent join`; `odllm fleet status` shows who has",
    )
