"""What went wrong, as data."""

import traceback
from dataclasses import dataclass

from odllm_agent.errors import OdllmError


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data.

    Attributes:
        kind: The error's name, such as `ModelInvalid`.
        message: What went wrong, naming the culprit.
        remedy: What to do about it.
        traceback: The Python traceback, for whoever asks.
        signal: The name of the signal that ended the worker, such as `SIGKILL`.
        log: The last lines of the worker's log.
    """

    kind: str
    message: str
    remedy: str = ""
    traceback: str = ""
    signal: str | None = None
    log: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that stands for an error."""
        kind = type(error).__name__
        return cls(
            kind=kind,
            message=error.message if isinstance(error, OdllmError) else str(error) or kind,
            remedy=error.remedy if isinstance(error, OdllmError) else "",
            traceback="".join(traceback.format_exception(error)),
            # What a child said before it failed is noted on the error.
            log="\n".join(getattr(error, "__notes__", ())),
        )
