"""What state this device is in."""

import sys

if sys.platform == "linux":
    from odllm_agent.host.linux import (
        available_bytes,
        busy_s,
        cpus,
        online_cpus,
        present_cpus,
        quota,
        read_state,
        temperature_c,
    )
else:
    from odllm_agent.host.portable import (
        available_bytes,
        busy_s,
        cpus,
        online_cpus,
        present_cpus,
        quota,
        read_state,
        temperature_c,
    )

__all__ = [
    "available_bytes",
    "busy_s",
    "cpus",
    "logical_cores",
    "online_cpus",
    "present_cpus",
    "quota",
    "read_state",
    "temperature_c",
]


def logical_cores() -> int:
    """Hardware threads that this process may use."""
    return len(cpus())
