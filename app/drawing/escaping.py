"""Text out of a store, shown as it is and not as markup."""

import re

_LONGEST = 80
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


def plain(text: object, longest: int = _LONGEST) -> str:
    """Text as Markdown that reads as what it is: one line, no markup, its middle left out if long.

    Args:
        text: Such as a device's name, which anyone may choose.
        longest: The most characters that are shown.
    """
    return _MARKUP.sub(r"\\\1", short(text, longest))


def short(text: object, longest: int = _LONGEST) -> str:
    """Text as one line, its middle left out if it is longer than that."""
    line = " ".join(str(text).split())
    if len(line) <= longest:
        return line
    half = (longest - 1) // 2
    return f"{line[:half]}…{line[-half:]}"
