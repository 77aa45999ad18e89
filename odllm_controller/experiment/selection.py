"""Which devices of a fleet take part: an expression over what each is."""

import ast
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from odllm_agent.contract import Device
from odllm_agent.engines.settings import ENGINE_SETTINGS
from odllm_agent.errors import UsageError

METERS = ("rapl", "nvml", "hwmon", "battery", "emi", "apple", "external", "estimate")
"""The power meters that an expression may name."""

_GIB = 2**30
_NAMES = ("name", "label", "ram_gb", "cores", "threads", "system", "kind", "engine", "meter")
_TOLD = (
    "name, label.NAME, ram_gb, cores, threads, system, kind, "
    f"engine.NAME ({', '.join(ENGINE_SETTINGS)}), meter.NAME ({', '.join(METERS)})"
)


class _Labels(dict[str, str]):
    """Labels of a device; one that it does not have is empty, not wrong."""

    def __missing__(self, _: str) -> str:
        return ""


class Selection:
    """An expression such as `ram_gb >= 16 and engine.openvino`.

    Args:
        text: The expression; nothing in it is run as Python.

    Raises:
        UsageError: It is none, or has a name that no device has.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise self._wrong(f"it is no expression: {error.msg}") from error
        names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        unknown = sorted(set(names) - set(_NAMES))
        if unknown:
            raise self._wrong(f"there is no {unknown[0]!r}")

    def includes(self, device: Device, labels: Mapping[str, str]) -> bool:
        """Whether a device takes part.

        Args:
            device: What it is.
            labels: The labels that it joined with.

        Raises:
            UsageError: The expression has a name that no device has, or compares what cannot be.
        """
        try:
            return bool(EvalWithCompoundTypes(names=_values(device, labels)).eval(self._text))
        except (InvalidExpression, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise self._wrong(str(error)) from error

    def _wrong(self, why: str) -> UsageError:
        return UsageError(f"fleet.select={self._text!r}: {why}", f"choose from {_TOLD}")


def told(device: Device, labels: Mapping[str, str]) -> str:
    """What a device has that an expression can ask for, in a line."""
    values = _values(device, labels)
    engines = [name for name, there in vars(values["engine"]).items() if there]
    meters = [name for name, there in vars(values["meter"]).items() if there]
    plain = {name: values[name] for name in ("ram_gb", "cores", "threads", "system", "kind")}
    parts = [f"{name}={value!r}" for name, value in plain.items()]
    parts += [f"engine: {', '.join(engines) or 'none'}", f"meter: {', '.join(meters) or 'none'}"]
    parts += [f"label.{name}={value!r}" for name, value in sorted(labels.items())]
    return f"{device.name}: {'; '.join(parts)}"


def _values(device: Device, labels: Mapping[str, str]) -> dict[str, Any]:
    measuring = {report.name for report in device.meters if report.domains}
    return {
        "name": device.name,
        "label": _Labels(labels),
        "ram_gb": round(device.ram_bytes / _GIB, 1),
        "cores": device.physical_cores,
        "threads": device.logical_cores,
        "system": device.system,
        "kind": str(device.kind),
        "engine": SimpleNamespace(**{name: name in device.engines for name in ENGINE_SETTINGS}),
        "meter": SimpleNamespace(**{name: name in measuring for name in METERS}),
    }
