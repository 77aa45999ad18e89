"""What is meant by a word that a command does not know."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant who typed a name that is not known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose from {', '.join(sorted(names))}"


def close_options(word: str, options: Iterable[str]) -> list[str]:
    """The options that may be meant by a word that is none: misspelt, or cut short."""
    known = list(options)
    begun = [each for each in known if each.startswith(word) and word.startswith("--")]
    return begun[:3] or difflib.get_close_matches(word, known, n=3, cutoff=0.75)
