"""AMD's and Intel's graphics chips through the kernel's hardware monitors.

An energy counter is preferred to power, which is integrated. A chip that is built into the
processor is part of the package too: never add the two. Some AMD chips of this kind tell the power
of the whole processor here.

Source: Linux, Documentation/hwmon/sysfs-interface.rst; Documentation/ABI/testing/
sysfs-driver-intel-i915-hwmon and sysfs-driver-intel-xe-hwmon; Documentation/gpu/amdgpu/thermal.rst.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.meters.base import Limits, Meter, Unavailable
from odllm_agent.meters.counter import Bounds, Counter
from odllm_agent.meters.integral import Integral
from odllm_agent.meters.kernel_file import NumberFile
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import COUNTED, INTEGRATED, Sensor, Sum, open_sensors
from odllm_agent.small_files import read_word

HWMON = Path("/sys/class/hwmon")
CHIPS = ("amdgpu", "i915", "xe")
MICRO = 1_000_000

# Of xe the first counter is the card's and the second its package's; i915 has one. amdgpu shows
# a mean power on older chips and the present power on newer ones.
ENERGY_FILES = ("energy1_input", "energy2_input")
POWER_FILES = ("power1_average", "power1_input")

# No driver documents it; assumed to be that of NVIDIA's cards.
PERIOD_S = 0.1
STEP_J = 1 / MICRO

# The largest card is limited to 1400 W (AMD MI355X).
MOST_W = 1400.0

DOMAIN = "gpu"


@dataclass(frozen=True, slots=True)
class Chip:
    """A graphics chip that shows its energy or its power.

    Attributes:
        file: In micro-joules or micro-watts.
        counts: Whether it is its energy.
    """

    file: Path
    counts: bool

    def open(self) -> Sensor:
        """Its sensor.

        Raises:
            OSError: It cannot be read.
            ValueError: It holds no number.
        """
        number = NumberFile(self.file)
        if self.counts:
            # Its period is not documented, so standing still is taken for no fault by itself.
            return Counter(lambda: number.read() / MICRO, Bounds(MOST_W, PERIOD_S))
        return Integral(lambda: number.read() / MICRO, PERIOD_S)


def open_meter(request: Request) -> Meter:
    """The meter of this device's graphics chips, or one that says why there is none."""
    chips = find_chips(HWMON)
    if not chips:
        reason = f"no graphics chip of {', '.join(CHIPS)} shows energy or power in {HWMON}"
        return Unavailable(request.text, DOMAIN, reason, "nothing: the kernel's driver decides")
    means = COUNTED if all(chip.counts for chip in chips) else INTEGRATED
    limits = Limits.of_period(PERIOD_S, MOST_W * len(chips), STEP_J)
    try:
        sensors = {DOMAIN: Sum([chip.open() for chip in chips])}
    except (OSError, ValueError) as error:
        return Unavailable(request.text, DOMAIN, *_obstacle(error))
    return open_sensors(request.text, means, limits, sensors)


def find_chips(hwmon: Path) -> list[Chip]:
    """The graphics chips that show their energy or power.

    Args:
        hwmon: The kernel's directory of hardware monitors.
    """
    monitors = [
        monitor for monitor in sorted(hwmon.glob("hwmon*")) if read_word(monitor / "name") in CHIPS
    ]
    found = [
        _chip([monitor / name for name in ENERGY_FILES], counts=True)
        or _chip([monitor / name for name in POWER_FILES], counts=False)
        for monitor in monitors
    ]
    return [chip for chip in found if chip]


def _chip(files: Sequence[Path], *, counts: bool) -> Chip | None:
    return next((Chip(file, counts) for file in files if file.exists()), None)


def _obstacle(error: Exception) -> tuple[str, str]:
    if isinstance(error, PermissionError):
        return f"this user may not read {error.filename}", shlex.join(
            ["sudo", "chmod", "a+r", str(error.filename)]
        )
    return f"the graphics chip's sensor cannot be read: {error}", "see docs/energy.md"
