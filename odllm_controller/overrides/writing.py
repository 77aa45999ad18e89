"""Writing an override, so that whoever reads it gives the value back.

Three do: a shell takes the line apart (`line`), Hydra's grammar reads the value, and OmegaConf
replaces `${name}` in what it reads.
"""

import re
from collections.abc import Iterable

Value = str | int | float | bool | None | Iterable["Value"]

# What Hydra reads as a text without quotes; `null`, `true`, `1e3` and the like are other things.
_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.-]*")
_OTHER_THAN_TEXT = re.compile(r"null|true|false|inf|nan|\.[0-9_]+(e[0-9_+-]+)?", re.IGNORECASE)
_BEFORE_REFERENCE = re.compile(r"(\\*)\$\{")
_BEFORE_QUOTE = re.compile(r'(\\*)("|\Z)')


def override(key: str, value: Value) -> str:
    """An override, as a word that Hydra takes.

    Args:
        key: The name of what is set, with `+` before it where Hydra wants one.
        value: What it is set to.
    """
    return f"{key}={_written(value)}"


def quoted(text: str) -> str:
    """A text in the quotes of Hydra's grammar, in which it may have any letter.

    What it refers to by `${name}` is still referred to.
    """
    # Double ones: a shell wants single ones about them, and both are readable then.
    closed = _BEFORE_QUOTE.sub(lambda found: found[1] * 2 + (r"\"" if found[2] else ""), text)
    return f'"{closed}"'


def _written(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if _PLAIN.fullmatch(value) and not _OTHER_THAN_TEXT.fullmatch(value):
            return value
        case str():
            return quoted(_literal(value))
        case _:
            return f"[{','.join(map(_written, value))}]"


def _literal(text: str) -> str:
    """A text that OmegaConf takes for itself: a backslash before `${` makes it no reference."""
    return _BEFORE_REFERENCE.sub(lambda found: found[1] * 2 + r"\${", text)
