"""How values turn into JSON and back."""

import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime

Scalar = bool | int | float | str


T = typing.TypeVar("T")


def to_json(value: object) -> str:
    """One line of JSON that `from_json` turns back into an equal value."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def from_json(kind: type[T], text: str | bytes) -> T:
    """The value of a contract type that a line of JSON stands for.

    Args:
        kind: A dataclass of this module.
        text: What `to_json` gave.

    Raises:
        ValueError: The text is not JSON, or a value is none of its type's.
        TypeError: A field is missing or unknown.
    """
    return from_plain(kind, json.loads(text))


def from_plain(kind: type[T], value: object) -> T:
    """The value of a contract type that a dictionary read from JSON stands for.

    Raises:
        ValueError: A value is none of its type's.
        TypeError: A field is missing or unknown.
    """
    typed: T = _typed(kind, value)
    return typed


def _digest(content: object) -> str:
    return hashlib.sha256(to_json(content).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _typed(kind: typing.Any, value: typing.Any) -> typing.Any:
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, _of(dict, value))
    if types.NoneType in arguments:
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _typed(inner, value)
    if typing.get_origin(kind) is tuple:
        return tuple(_typed(arguments[0], item) for item in _of(list, value))
    if typing.get_origin(kind) is Mapping:
        return {key: _typed(arguments[1], item) for key, item in _of(dict, value).items()}
    return _scalar(kind, value)


def _dataclass(kind: type, value: Mapping[str, object]) -> object:
    hints = typing.get_type_hints(kind)
    unknown = value.keys() - hints.keys()
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {min(unknown)!r:.80}")
    missing = next((name for name in _needed(kind) if name not in value), None)
    if missing:
        raise TypeError(f"the field {missing!r} of {kind.__name__} is missing")
    return kind(**{name: _typed(hints[name], item) for name, item in value.items()})


@functools.cache
def _needed(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass that have no value by default."""
    nothing = dataclasses.MISSING
    return tuple(
        each.name
        for each in dataclasses.fields(kind)
        if each.init and each.default is nothing and each.default_factory is nothing
    )


def _scalar(kind: typing.Any, value: typing.Any) -> typing.Any:
    if kind is datetime:
        return datetime.fromisoformat(_of(str, value))
    if isinstance(kind, type) and issubclass(kind, str) and kind is not str:
        return kind(_of(str, value))
    if kind is float and type(value) is int:
        return float(value)
    return _of(kind, value)


def _of(kind: typing.Any, value: T) -> T:
    """The value, if it is of a type, or of one of a union of them."""
    if type(value) not in (typing.get_args(kind) or (kind,)):
        raise ValueError(f"{value!r:.80} is no {getattr(kind, '__name__', kind)}")
    return value
