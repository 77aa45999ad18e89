"""pyRAPL's sensors, loaded without its remarks and without what it would load."""

import importlib
import logging
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

UJ_PER_J = 1_000_000
# A counter of 32 bits whose step is the largest there is, 1 J.
MOST_UJ = 2**32 * UJ_PER_J

Api = Literal["PkgAPI", "DramAPI"]


class Counters(Protocol):
    """The part of pyRAPL's `PkgAPI` and `DramAPI` that is used here."""

    def energy(self) -> Sequence[float]:
        """Micro-joules by socket number, -1 where there is no such socket."""


def counters(name: Api, files: Sequence[tuple[int, Path]]) -> Counters:
    """One of pyRAPL's sensors.

    Args:
        name: Which.
        files: What it is to read: the number of each socket and its counter.

    Raises:
        LookupError: pyRAPL does not read just these files, or is not installed.
    """
    with _quiet():
        try:
            found: Any = getattr(importlib.import_module("pyRAPL"), name)()
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not read them
            # The traceback holds files that pyRAPL did not close, which is told when they are.
            told = f"pyRAPL finds no counters: {error.with_traceback(None)!r}"
            raise LookupError(told) from None
    # pyRAPL keeps its files open and has no way to close them.
    for file in found._sys_files:  # noqa: SLF001
        weakref.finalize(found, file.close)
    opened = [Path(file.name) for file in found._sys_files]  # noqa: SLF001
    if list(zip(found._socket_ids, opened, strict=True)) != sorted(files):  # noqa: SLF001
        raise LookupError(f"pyRAPL reads {opened}")
    counters: Counters = found
    return counters


def socket_value_j(counters: Counters, socket: int) -> Callable[[], float]:
    """What reads the joules of one socket.

    Raises:
        LookupError: pyRAPL passes over that socket.
        ValueError: The counter holds no number.
    """
    if dict(enumerate(counters.energy())).get(socket, -1) < 0:
        raise LookupError(f"pyRAPL reads nothing of package {socket}")
    return lambda: counted_j(counters.energy()[socket])


def counted_j(value_uj: float) -> float:
    """A counter's joules.

    Raises:
        ValueError: No counter shows such a number.
    """
    if not 0 <= value_uj <= MOST_UJ:
        raise ValueError(f"a counter shows {value_uj:.6g} uJ")
    return value_uj / UJ_PER_J


class _Without(MetaPathFinder):
    """Lets the import of some packages fail."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """No module for these names, and no opinion on others."""
        del path, target
        if fullname in self._names:
            raise ModuleNotFoundError(name=fullname)
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    # pyRAPL's optional outputs would load pandas into the process whose memory is measured (half a
    # second, 50 MB), and without them it warns through the root logger, which gives that logger a
    # handler. It also has an invalid escape, and never closes the files that it looks into.
    outputs = _Without("pandas", "pymongo")
    root = logging.getLogger()
    handlers = list(root.handlers)
    sys.meta_path.insert(0, outputs)
    root.addFilter(_is_no_import_warning)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, SyntaxWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        sys.meta_path.remove(outputs)
        root.removeFilter(_is_no_import_warning)
        root.handlers[:] = handlers


def _is_no_import_warning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("imports error")
