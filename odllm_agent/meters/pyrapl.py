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
from types import ModuleType
from typing import Literal, Protocol

UJ_PER_J = 1_000_000

Api = Literal["PkgAPI", "DramAPI"]


class Counters(Protocol):
    """The part of pyRAPL's `PkgAPI` and `DramAPI` that is used here."""

    def energy(self) -> Sequence[float]:
        """Micro-joules by socket number, -1 where there is no such socket."""


def counters(name: Api) -> Counters:
    """One of pyRAPL's sensors.

    Raises:
        ModuleNotFoundError: pyRAPL is not installed.
        OSError: A counter cannot be read.
        LookupError: pyRAPL does not find one zone per socket.
    """
    with _quiet():
        pyrapl = importlib.import_module("pyRAPL")
        try:
            found: Counters = getattr(pyrapl, name)()
        except pyrapl.PyRAPLException as error:
            raise LookupError("pyRAPL finds not one package zone per processor socket") from error
        except OSError as error:
            # The traceback holds files that pyRAPL did not close, which is told when they are.
            raise error.with_traceback(None) from None
    # pyRAPL keeps its files open and has no way to close them.
    for file in found._sys_files:  # type: ignore[attr-defined]  # noqa: SLF001
        weakref.finalize(found, file.close)
    return found


def socket_value_j(counters: Counters, socket: int) -> Callable[[], float]:
    """What reads the joules of one socket.

    Raises:
        LookupError: pyRAPL passes over that socket.
        ValueError: The counter holds no number.
    """
    if dict(enumerate(counters.energy())).get(socket, -1) < 0:
        raise LookupError(f"pyRAPL reads nothing of package {socket}")
    return lambda: counters.energy()[socket] / UJ_PER_J


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
