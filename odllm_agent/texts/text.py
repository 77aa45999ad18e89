"""The texts that quality is computed on: by name, or any text file on the device."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import resources

from odllm_agent.errors import UsageError
from odllm_agent.files import text_file
from odllm_agent.files.typed_path import typed_path
from odllm_agent.texts import wikitext


def read_text(name: str, sha256: str | None = None) -> str:
    """A text by name, or by the path of its file.

    Args:
        name: `reference`, `wikitext-2`, `wikitext-2-start`, or a path on this device.
        sha256: The checksum that it must have, or `None`.

    Raises:
        UsageError: There is no such text, it is none, or it is not the one that was meant.
        DataMissing: It cannot be fetched.
    """
    text = _TEXTS[name]() if name in _TEXTS else _read_file(name)
    if sha256 not in {None, _digest(text)}:
        raise UsageError(
            f"the text {name} has changed since the run was planned",
            "leave it alone while a run goes on, and run the command again",
        )
    return text


def text_sha256(name: str) -> str:
    """The checksum of a text's UTF-8 bytes; a text from the hub is fetched for it.

    Raises:
        UsageError: There is no such text, or it is none.
        DataMissing: It cannot be fetched.
    """
    return _digest(read_text(name))


@cache
def _shipped(package: str, *place: str) -> str:
    return resources.files(package).joinpath(*place).read_text(encoding="utf-8")


_TEXTS: Mapping[str, Callable[[], str]] = {
    "reference": partial(_shipped, "odllm_agent.models", "reference", "heldout.txt"),
    "wikitext-2": wikitext.test_text,
    "wikitext-2-start": partial(_shipped, "odllm_agent.texts", "shipped", "wikitext-2-start.txt"),
}


def _read_file(name: str) -> str:
    path = typed_path(name)
    try:
        # Line ends are kept as they are: a text is what its bytes say.
        return text_file.decoded(text_file.content(path))
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no text named {name!r}, nor a file of that name on this device",
            f"known texts: {', '.join(_TEXTS)}; or give the path of a text file",
        ) from error
    except OSError as error:
        raise UsageError(
            f"the text file {path} cannot be read: {error.strerror}", "name a text file"
        ) from error
    except text_file.NotText as error:
        raise UsageError(
            f"the text file {path} cannot be read: {error}", "save it as UTF-8"
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
