"""What a name tells of a file that is not whole: that it is a piece, or still being fetched."""

import re
import shlex

# `NAME.gguf.part1of2`, `NAME.gguf-split-a`, `NAME.gguf.part03`, `NAME.gguf.001`, `NAME.gguf.aa`.
_NUMBERED = re.compile(
    r"(?P<whole>.+?)(?P<mark>[._-]part)(?P<number>\d+)[-_]?of[-_]?(?P<count>\d+)"
)
_LETTERED = re.compile(
    r"(?P<whole>.+?)(?P<mark>[._-](part|split|chunk|piece)[._-]?)(\d{1,3}|[a-z]{1,2})",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?P<whole>.+\.gguf)(?P<mark>[._-]x?)(\d{1,3}|[a-z]{2})", re.IGNORECASE)
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".incomplete", ".tmp", ".aria2")
_MOST_PIECES = 9


def why_not_whole(name: str) -> str | None:
    """What to do with a file that is not whole, if its name tells why it is not.

    Args:
        name: The file's name, without folders.
    """
    if match := _NUMBERED.fullmatch(name):
        count = int(match["count"])
        return _joining(match["whole"], _pieces(match["whole"] + match["mark"], count))
    if match := _LETTERED.fullmatch(name) or _BARE.fullmatch(name):
        return _joining(match["whole"], shlex.quote(match["whole"] + match["mark"]) + "*")
    if name.lower().endswith(_UNFINISHED):
        return "let its download go on to its end, or download it again"
    return None


def _pieces(start: str, count: int) -> str:
    if not 1 < count <= _MOST_PIECES:
        return shlex.quote(start) + "*"
    return " ".join(shlex.quote(f"{start}{number}of{count}") for number in range(1, count + 1))


def _joining(whole: str, pieces: str) -> str:
    return (
        "its name says that it is a piece of a file: get all pieces and join them in their order, "
        f"`cat {pieces} > {shlex.quote(whole)}`"
    )
