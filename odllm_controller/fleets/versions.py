"""Whether a device runs what the controller runs."""

import platform
from importlib import metadata

from odllm_agent.contract import Device


def mismatch(device: Device) -> str:
    """How a device differs from this process in what has to agree, with the remedy, or `""`."""
    pairs = {
        "ODLLM": (device.odllm_version, metadata.version("odllm")),
        "Python": (device.python_version, platform.python_version()),
    }
    told = [
        f"it has {name} {there}, and the controller {here}"
        for name, (there, here) in pairs.items()
        if there != here
    ]
    return f"{', '.join(told)}: install the same on both" if told else ""
