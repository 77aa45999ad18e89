"""What makes two failures alike."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from odllm_agent.contract import Failure
from odllm_agent.errors import (
    DiskFull,
    DispatchError,
    ModelChanged,
    ModelTooLarge,
    WorkerDied,
    WorkerLate,
)
from odllm_agent.failures.attempt import Attempt

_LEFT_OUT = "…"
# What may differ where nothing else does, whatever failed: paths, addresses and checksums, types of
# weights, and figures that were read off something, which have a unit or many digits. A small whole
# number alone may be a status or a setting, and stays.
_VARYING = re.compile(
    r"""
    (?<![\w.:/\\]) (?: [A-Za-z]:\\ | ~?/ ) [^\s,;:'"()]+      # a path
    | \b 0x [0-9A-Fa-f]+ \b | \b [0-9a-f]{12,} \b             # an address, a checksum
    | \b (?: I?Q\d_\w+ | B?F(?:16|32) ) \b                    # a type of weights
    | \b round\ \d+
    | (?<![\w.]) \d [\d,]* (?: \.\d+ )? \s?
      (?: [kKMGT]i?B | B | bytes | tokens? | m?s | % | °C ) (?!\w)
    | (?<![\w.]) (?: \d+\.\d+ | \d{1,3}(?:,\d{3})+ | \d{4,} ) (?![\w.]*\w)
    """,
    re.VERBOSE,
)
# These tell of a device, or of how large one trial is, and nothing of the engine.
_OF_ONE_TRIAL = frozenset(
    kind.__name__ for kind in (DispatchError, WorkerLate, ModelChanged, ModelTooLarge, DiskFull)
)
# No engine ends itself so: it is the system that wants memory back, or somebody who ends it.
_FROM_OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"})


@dataclass(frozen=True, slots=True)
class Cause:
    """What failures that are alike share.

    Attributes:
        engine: The engine that ran, or `""`.
        kind: The error's name.
        signal: The signal that ended the worker, or `None`.
        message: What went wrong, without what differs from trial to trial; `""` where a signal
            tells it all.
    """

    engine: str
    kind: str
    signal: str | None
    message: str

    @classmethod
    def of(cls, failure: Failure, attempt: Attempt) -> Self:
        """The cause of a failure.

        Args:
            failure: What went wrong.
            attempt: What failed.
        """
        died = failure.signal and failure.kind == WorkerDied.__name__
        message = "" if died else _without(failure.message, attempt.own)
        return cls(attempt.engine, failure.kind, failure.signal, message)

    @property
    def is_of_engine(self) -> bool:
        """Whether it may be a property of an engine, and not of one trial or of the device."""
        return self.kind not in _OF_ONE_TRIAL and self.signal not in _FROM_OUTSIDE

    def told(self, message: str) -> str:
        """What people are told that went wrong.

        Args:
            message: That of one of the failures.
        """
        if self.signal and not self.message:
            return f"{self.engine or 'the worker'} was ended by {self.signal}"
        return message


def _without(message: str, own: Iterable[str]) -> str:
    """A message without what only its attempt has, and without what may differ anyway."""
    for word in sorted(filter(None, own), key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _LEFT_OUT, message)
    return _VARYING.sub(_LEFT_OUT, message)
