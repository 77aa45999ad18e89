"""What a figure is of: the columns that tell one trial from another, in words."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Setup:
    """A device, an engine and a workload, for any model.

    Attributes:
        device: The device's name.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings.
    """

    device: str
    workload_label: str
    configuration: str


@dataclass(frozen=True, slots=True)
class ModelSubject:
    """A model over its types, on one device and engine, for one workload.

    Attributes:
        device: The device's name.
        model: The model's name.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings.
    """

    device: str
    model: str
    workload_label: str
    configuration: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A model of one type, on one device and engine, for one workload.

    Attributes:
        device: The device's name.
        model: The model's name.
        quantization: The type of its weights.
        workload_label: The workload with its sizes.
        configuration: The engine with its settings.
    """

    device: str
    model: str
    quantization: str
    workload_label: str
    configuration: str


SETUP, MODEL_SUBJECT, SUBJECT = (
    [field.name for field in fields(kind)] for kind in (Setup, ModelSubject, Subject)
)
"""The columns of `results.load` that tell each of them."""

TITLES: Mapping[str, str] = {
    "device": "Device",
    "model": "Model",
    "quantization": "Type",
    "workload_label": "Workload",
    "configuration": "Engine",
}
"""What stands above these columns in a table for people."""


def subject_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The subject of a row, by the names of its columns."""
    return {name: row[name] for name in SUBJECT}
