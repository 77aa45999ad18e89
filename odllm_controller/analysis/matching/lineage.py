"""Which models are sizes of one family, by their names."""

import re

# What stands before the first size: qwen2.5-0.5B-instruct is qwen2.5 of 0.5B, instruct.
_NAME = re.compile(r"(?P<before>.+?)[-_ ]?\d+(\.\d+)?[BM](?P<after>(?![A-Z0-9]).*)?", re.IGNORECASE)
# Their sizes were published under three numbers.
_LLAMA_3 = re.compile(r"((meta-)?llama)-3(\.\d)?", re.IGNORECASE)


def lineage(model: str) -> str | None:
    """The family that a model is a size of.

    Args:
        model: Its name, such as qwen2.5-0.5B or Llama-3.2-1B-Instruct.

    Returns:
        What is left of the name without the size, in lower case; Llama 3, 3.1, 3.2 and 3.3 are one
        family. `None` where the name tells no size.
    """
    found = _NAME.fullmatch(model)
    if not found:
        return None
    name = f"{found['before']}{found['after'] or ''}".lower()
    return _LLAMA_3.sub("llama-3", name)
