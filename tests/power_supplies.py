"""The kernel's power supplies, as trees that a test builds."""

from collections.abc import Mapping
from pathlib import Path

from tests.small_files import write

Tree = Mapping[str, Mapping[str, object]]
"""The files of each supply by the supply's name."""

DISCHARGING: Mapping[str, object] = {
    "type": "Battery",
    "status": "Discharging",
    "capacity": 50,
    "present": 1,
    "voltage_now": 12_000_000,
    "energy_now": 20_000_000,
}
BATTERY: Mapping[str, object] = {**DISCHARGING, "power_now": 9_000_000}
OFF: Mapping[str, object] = {"type": "Mains", "online": 0}
ON: Mapping[str, object] = {"type": "Mains", "online": 1}
USB_OFF: Mapping[str, object] = {"type": "USB", "online": 0}
USB_ON: Mapping[str, object] = {"type": "USB", "online": 1}


def battery(status: object = "Discharging", **files: object) -> Mapping[str, object]:
    """A battery of 40 Wh, half full, which gives 9 W unless told otherwise; `None` is no file."""
    told = {**BATTERY, "status": status, **files}
    return {name: value for name, value in told.items() if value is not None}


def build(root: Path, tree: Tree) -> Path:
    """A machine with these supplies.

    Args:
        root: Where its files are to be.
        tree: The supplies.
    """
    supplies = root / "sys/class/power_supply"
    supplies.mkdir(parents=True)
    for name, files in tree.items():
        write(supplies / name, **{file: f"{value}\n" for file, value in files.items()})
    return root
