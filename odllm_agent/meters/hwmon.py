"""AMD's and Intel's graphics chips through the kernel's hardware monitors.

Chips are added up; one that cannot be read is told apart, as if it were another domain. An energy
counter is preferred to power, which is integrated. A chip that is built into the processor is part
of the package too: never add the two. Some AMD chips of this kind tell the power of the whole
processor here.

Source: Linux, Documentation/hwmon/sysfs-interface.rst; Documentation/ABI/testing/
sysfs-driver-intel-i915-hwmon and sysfs-driver-intel-xe-hwmon; Documentation/gpu/amdgpu/thermal.rst.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.contract import MissingDomain
from odllm_agent.files.small_files import list_folder, read_int, read_word
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.energy.integral import Integral
from odllm_agent.meters.kernel_file import NumberFile
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import Sensor, Sum, apart, means_of, open_sensors

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

# The kernel shows an energy as a number of 64 bits.
MOST_UJ = 2**64 - 1

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
        return Integral(lambda: _believed_w(number.read() / MICRO, self.file), PERIOD_S)


def open_meter(request: Request) -> Meter:
    """The meter of this device's graphics chips, or one that says why there is none."""
    chips = find_chips(HWMON)
    if not chips:
        reason = f"no graphics chip of {', '.join(CHIPS)} shows energy or power in {HWMON}"
        return Unavailable(request.text, DOMAIN, reason, "nothing: the kernel's driver decides")
    sensors, missing = apart({chip: _open(chip) for chip in chips})
    parts = tuple(sensors.values())
    if not parts:
        return Unavailable(request.text, DOMAIN, missing[0].reason, missing[0].remedy)
    limits = WindowLimits.of_period(PERIOD_S, MOST_W * len(parts), STEP_J)
    told = {DOMAIN: Sum(parts)}
    return open_sensors(request.text, means_of(parts), limits, told, missing=missing)


def find_chips(hwmon: Path) -> list[Chip]:
    """The graphics chips that show their energy or power.

    Args:
        hwmon: The kernel's directory of hardware monitors.
    """
    monitors = [
        monitor
        for monitor in list_folder(hwmon, "hwmon[0-9]+")
        if read_word(monitor / "name") in CHIPS
    ]
    return [chip for monitor in monitors if (chip := _chip(monitor))]


def _chip(monitor: Path) -> Chip | None:
    """By the first of its files that can be believed or, if none can, by the first that is there.

    The second energy counter stands in only for one that is not there: it is of a part.
    """
    energy, power = (
        [monitor / name for name in names if os.path.lexists(monitor / name)]
        for names in (ENERGY_FILES, POWER_FILES)
    )
    shown = [Chip(file, counts=file in energy) for file in (*energy[:1], *power)]
    return next((chip for chip in shown if _is_told(chip)), next(iter(shown), None))


def _believed_w(watts: float, file: Path) -> float:
    if watts > MOST_W:
        raise ValueError(f"{file} tells {watts:.3g} W, which no chip draws")
    return watts


def _is_told(chip: Chip) -> bool:
    value = read_int(chip.file)
    return value is not None and 0 <= value <= (MOST_UJ if chip.counts else MOST_W * MICRO)


def _open(chip: Chip) -> Sensor | MissingDomain:
    """A chip's sensor or, since chips are devices of their own, that only this one is missing."""
    domain = f"{DOMAIN} of {chip.file.parent.name}"
    try:
        return chip.open()
    except PermissionError as error:
        reason = f"this user may not read {error.filename}"
        allow = shlex.join(["sudo", "chmod", "a+r", str(error.filename)])
        return MissingDomain(domain, reason, allow)
    except (OSError, ValueError) as error:
        reason = f"the graphics chip's sensor cannot be read: {error}"
        return MissingDomain(domain, reason, "see docs/energy.md")
