"""A row of the view `results` as another store exported it, checked before it is taken."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from odllm_agent.contract import DeviceKind, to_json
from odllm_controller.analysis.queries.results import STATUSES
from odllm_controller.exchange.figures import Figures, Moment, Row, digest, refusal
from odllm_controller.exchange.record_form import RecordForm, Types
from odllm_controller.metrics import Values, of_column

_OWN = "odllm"
_NEEDED = ("device", "model", "status", "repeats", "rounds")
_SIZES = ("prompt_tokens", "output_tokens", "depth_tokens")
_NUMBERS = frozenset({"DOUBLE", "BIGINT", "INTEGER"})
_BOUNDS: Mapping[Values, Any] = {
    Values.POSITIVE: Field(gt=0),
    Values.NOT_NEGATIVE: Field(ge=0),
    Values.FRACTION: Field(ge=0, le=1),
    Values.ANY: Field(),
}
# Of the numbers that are no metrics, those that may not be 0, and one that is a difference.
_BOUNDS_OF = {
    "file_bpw": _BOUNDS[Values.POSITIVE],
    "runtime_bpw": _BOUNDS[Values.POSITIVE],
    "threads": Field(ge=1),
    "load_net_j": _BOUNDS[Values.ANY],
}
_NAMES = frozenset({"device", "model"})


class ResultRows:
    """Takes rows of `results` as the columns of a store want them.

    Args:
        types: The columns of the table `imported`.
        file: The name of the file that they come from.
    """

    def __init__(self, types: Types, file: str) -> None:
        self._types = types
        self._file = file

    def figures(self, told: object) -> Figures:
        """A row on its way into the store.

        Args:
            told: What a file has of it: values by column, as text or as what they are.

        Raises:
            ValueError: A column that is needed is missing, or a value is none of its column.
        """
        if not isinstance(told, Mapping):
            raise ValueError("it is no row of `results`")
        try:
            checked = self._model.model_validate({k: v for k, v in told.items() if v is not None})
        except ValidationError as error:
            raise ValueError(refusal(error)) from error
        row = checked.model_dump(exclude={"row_id", "origin"})
        _check(row)
        return Figures(
            {
                "row_id": row["trial_id"] or digest(row),
                "origin": self._origin(told.get("origin")),
                **row,
            },
            unknown=frozenset(
                str(name) for name, value in told.items() if value is not None
            ).difference(self._types),
        )

    def _origin(self, told: object) -> str:
        """Where a row was measured: what another tool found stays marked so."""
        foreign = isinstance(told, str) and told != _OWN
        return str(told) if foreign else f"{_OWN} ({self._file})"

    @cached_property
    def _model(self) -> type[BaseModel]:
        fields: dict[str, Any] = {name: _field(name, of) for name, of in self._types.items()}
        config = ConfigDict(allow_inf_nan=False, protected_namespaces=(), extra="ignore")
        return create_model("ResultRow", __config__=config, **fields)


def _field(name: str, duckdb_type: str) -> tuple[Any, Any]:
    kind = _KINDS[duckdb_type]
    if duckdb_type in _NUMBERS:
        kind = Annotated[kind, _bound(name)]
    return (kind, ...) if name in _NEEDED else (kind | None, None)


def _bound(name: str) -> Any:
    """What a number of this name cannot be less or more than."""
    found = of_column(name)
    values = found.values if found else Values.NOT_NEGATIVE
    return _BOUNDS_OF.get(name, _BOUNDS[values])


def _check(row: Row) -> None:
    if row["device_kind"] and row["device_kind"] not in set(DeviceKind):
        known = ", ".join(DeviceKind)
        raise ValueError(f"device_kind: {row['device_kind']!r:.60} is none of {known}")
    if row["status"] not in STATUSES:
        known = ", ".join(STATUSES)
        raise ValueError(f"status: {row['status']!r:.60} is none of {known}")
    for name in _NAMES:
        if not row[name].strip():
            raise ValueError(f"{name}: it has no name")
    for name, low in row.items():
        high = row.get(f"{name.removesuffix('_low')}_high") if name.endswith("_low") else None
        if low is not None and high is not None and low > high:
            raise ValueError(f"{name}: {low} is more than the upper end of the interval, {high}")
    missing = [name for name in _SIZES if row["workload"] is not None and row[name] is None]
    if missing:
        raise ValueError(f"the field {missing[0]} is missing, and it has a workload")


def _no_switch(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    return value


def _as_text(value: object) -> object:
    return to_json(value) if isinstance(value, dict) else value


def _json_object(text: str) -> str:
    plain = json.loads(text)
    if not isinstance(plain, dict) or any(isinstance(v, dict | list) for v in plain.values()):
        raise ValueError("a JSON object of plain values is wanted")
    return text


def _no_zero(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a character 0")
    return text


def _whole(bits: int) -> Any:
    return Annotated[int, BeforeValidator(_no_switch), Field(ge=0, lt=2 ** (bits - 1))]


_KINDS: Mapping[str, Any] = {
    "VARCHAR": Annotated[str, AfterValidator(_no_zero)],
    "DOUBLE": Annotated[float, BeforeValidator(_no_switch)],
    "BIGINT": _whole(64),
    "INTEGER": _whole(32),
    "JSON": Annotated[str, BeforeValidator(_as_text), AfterValidator(_json_object)],
    "TIMESTAMP": Moment,
}

FORM = RecordForm(
    what="a row of `results`",
    fields=frozenset({"device", "device_kind", "model", "trial_id", "status"}),
    example={"device": "laptop", "model": "m", "status": "done", "repeats": 1, "rounds": 1},
    reader=lambda file: ResultRows(file.types, file.name).figures,
    names_device=True,
)
"""A row that another store exported."""
