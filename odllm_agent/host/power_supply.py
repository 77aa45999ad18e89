"""The batteries and adapters of a device, and whether a battery feeds it.

A battery's own status decides; adapters are asked only where no battery tells. Left out are what
powers something else (a mouse, a keyboard, a headset), empty slots, and UPSes: a UPS is no part of
the device and may feed others too, so what it gives is not what the device draws.

Source: Linux, Documentation/ABI/testing/sysfs-class-power.
"""

import os
import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from odllm_agent.files.small_files import list_folder, read_int, read_word

# What tells energy or charge, and what flows; the battery of a mouse tells a level at most.
_TELLING = re.compile(r"(energy|charge)_(now|full|full_design)|(power|current)_now")
# What ACPI and device trees call a device's own battery, should it tell nothing but its status.
_OWN_NAME = re.compile(r"BAT.*|CMB.*|battery")
# How the kernel numbers what is attached as a human interface device, such as 0003:046D:C52B.0005.
_INTERFACE = re.compile(r"([0-9A-F]{4}:){2}[0-9A-F]{4}\.[0-9A-F]{4}", re.I)
_ATTACHED = re.compile(
    r"(?<![a-z])(hid|hidpp|wacom|mouse|keyboard|headset|headphones?|pen|stylus|gamepad|joystick"
    r"|controller|touchpad|trackpad|trackball|wiimote|joycon|corsair|steelseries)(?![a-z])",
    re.I,
)
_MAINS = "mains"
_ADAPTERS = (_MAINS, "usb", "wireless", "brickid")
_KINDS = ("battery", "ups", *_ADAPTERS)
# Off; on at a fixed voltage; on at one that was agreed upon.
_ONLINE = (0, 1, 2)


class ChargeStatus(StrEnum):
    """What a battery says that it does."""

    DISCHARGING = "discharging"
    CHARGING = "charging"
    NOT_CHARGING = "not charging"
    FULL = "full"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery of the device itself, or a slot for one.

    Attributes:
        folder: The kernel's directory of it.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What the kernel calls it."""
        return self.folder.name

    def is_there(self) -> bool:
        """Whether the slot holds a battery, as far as it tells."""
        return read_int(self.folder / "present") != 0

    def status(self) -> ChargeStatus:
        """What it says that it does; unknown where it does not tell."""
        word = (read_word(self.folder / "status") or "").lower()
        return ChargeStatus(word) if word in set(ChargeStatus) else ChargeStatus.UNKNOWN

    def percent(self) -> float | None:
        """How full it is, or `None` where it does not tell."""
        level = read_int(self.folder / "capacity")
        if level is not None and 0 <= level <= 100:
            return float(level)
        ratios = (self._ratio("energy"), self._ratio("charge"))
        return next((100 * ratio for ratio in ratios if ratio is not None), None)

    def _ratio(self, quantity: str) -> float | None:
        now = read_int(self.folder / f"{quantity}_now")
        full = read_int(self.folder / f"{quantity}_full")
        if now is None or not full or not 0 <= now <= full:
            return None
        return now / full


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a charger or a dock is plugged into.

    Attributes:
        folder: The kernel's directory of it.
        kind: Its type in small letters, such as `mains` or `usb`.
    """

    folder: Path
    kind: str

    def is_plugged_in(self) -> bool | None:
        """Whether power comes by it, or `None` where it does not tell."""
        online = read_int(self.folder / "online")
        return bool(online) if online in _ONLINE else None


@dataclass(frozen=True, slots=True)
class Supplies:
    """What can feed a device.

    Attributes:
        slots: Its own batteries, and the empty slots for some.
        adapters: What a charger can be plugged into.
    """

    slots: tuple[Battery, ...]
    adapters: tuple[Adapter, ...]

    @classmethod
    def find(cls, root: Path = Path("/")) -> "Supplies":
        """Those of this device.

        Args:
            root: Where the system's files are.
        """
        folders = list_folder(root / "sys/class/power_supply")
        return cls(
            slots=tuple(Battery(folder) for folder in folders if _is_own_battery(folder)),
            adapters=tuple(
                Adapter(folder, _kind(folder))
                for folder in folders
                if _kind(folder).startswith(_ADAPTERS) and not _is_of_another(folder)
            ),
        )

    def batteries(self) -> tuple[Battery, ...]:
        """The batteries that are there now."""
        return tuple(battery for battery in self.slots if battery.is_there())

    def on_battery(self) -> bool | None:
        """Whether a battery feeds the device; `None` where there is none, or none tells."""
        states = {battery.status() for battery in self.batteries()}
        if not states:
            return None
        if ChargeStatus.DISCHARGING in states:
            return True
        if ChargeStatus.CHARGING in states or ChargeStatus.UNKNOWN not in states:
            return False
        plugged_in = _told(self.adapters)
        return not any(plugged_in) if plugged_in else None

    def percent(self) -> float | None:
        """How full the batteries are, each counting alike."""
        told = [battery.percent() for battery in self.batteries()]
        levels = [level for level in told if level is not None]
        return statistics.fmean(levels) if levels else None

    def plugged_in(self) -> Adapter | None:
        """An adapter that feeds the device, or `None`.

        Of mains adapters that contradict each other the one that is off is believed: some drivers
        say of a charger that it is always on. What comes by USB was agreed upon.
        """
        mains = [adapter for adapter in self.adapters if adapter.kind == _MAINS]
        others = [adapter for adapter in self.adapters if adapter.kind != _MAINS]
        believed = others if False in _told(mains) else [*mains, *others]
        return next((adapter for adapter in believed if adapter.is_plugged_in()), None)


def _told(adapters: Iterable[Adapter]) -> list[bool]:
    """Whether those adapters are plugged in that tell."""
    answers = (adapter.is_plugged_in() for adapter in adapters)
    return [answer for answer in answers if answer is not None]


def _kind(folder: Path) -> str:
    return (read_word(folder / "type") or "").lower()


def _is_own_battery(folder: Path) -> bool:
    kind, named = _kind(folder), _OWN_NAME.fullmatch(folder.name) is not None
    # Should it not tell its type, its name and its status do.
    untold = not kind.startswith(_KINDS) and named and read_word(folder / "status") is not None
    if not (kind == "battery" or untold):
        return False
    if named or _scope(folder) == "system":
        return not _is_of_another(folder)
    told = any(_TELLING.fullmatch(file.name) for file in list_folder(folder))
    if not told or _is_of_another(folder):
        return False
    names = f"{folder.name} {read_word(folder / 'model_name') or ''}"
    return not _ATTACHED.search(names)


def _is_of_another(folder: Path) -> bool:
    """Whether it powers something that is attached to the device."""
    scope = _scope(folder)
    if scope in ("device", "system"):
        return scope == "device"
    return any(_INTERFACE.fullmatch(part) for part in Path(os.path.realpath(folder)).parts)


def _scope(folder: Path) -> str:
    return (read_word(folder / "scope") or "").lower()
