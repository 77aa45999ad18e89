"""Sizes in bytes as people write them."""

import re

from odllm_agent.errors import UsageError

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*(?:([KMGT])(I)?B?|B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_bytes(text: str) -> int:
    """The bytes that a size such as `50GB`, `20GiB`, `1.5T` or `1000000` stands for.

    Args:
        text: A number, alone or with a unit: powers of 1000, or of 1024 with an `i`.

    Raises:
        UsageError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size", "write it such as 50GB, 20GiB or 1000000000")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[(unit or "").upper()])


def bytes_text(n_bytes: int) -> str:
    """A size in the largest unit that keeps a digit before its point, such as `4.37 GB`."""
    amount, unit = float(n_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.2f} {unit}"
