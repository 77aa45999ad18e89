"""How the weights of a model file are made smaller: a type, and what departs from it."""

import re

_TYPE = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)*")
# A `+` joins parts and a `:` those of an override, so that neither can be in a pattern.
_OVERRIDE = re.compile(r"(?P<tensors>[^\s+:]+):(?P<type>\w+)")
_IMATRIX = "imatrix"
_PURE = "pure"
_OUTPUT = "output"
_EMBEDDINGS = "token_embd"
_FORM = (
    "write TYPE, such as Q4_K_M, and what departs from it: TYPE+imatrix, TYPE+pure, "
    "TYPE+output:TYPE, TYPE+token_embd:TYPE or TYPE+PATTERN:TYPE, joined in any number"
)


class Quantization(str):
    """What a file is made to be, by its short name, such as `Q4_K_M` or `IQ2_XS+imatrix`.

    The name is all of it: `Q4_K_M+pure+output:Q8_0` gives every tensor the type Q4_K and the
    output matrix Q8_0. A tensor takes the type of the first pattern that is found in its name.

    Args:
        text: The name; types may be in small letters, and parts in any order.

    Raises:
        ValueError: It has another form.

    Attributes:
        type: The type by the name of llama.cpp's quantizer.
        imatrix: Whether an importance matrix tells which weights matter.
        pure: Whether all tensors get the same type, where the type is a mix of several otherwise.
        output: The type of the output matrix, or `None` to leave it to llama.cpp. It is also that
            of the embeddings where both are one matrix.
        embeddings: The type of the embeddings, in the same way.
        tensors: Patterns of tensors' names, regular expressions, with the types that they get.
    """

    type: str
    imatrix: bool
    pure: bool
    output: str | None
    embeddings: str | None
    tensors: tuple[tuple[str, str], ...]

    def __new__(cls, text: str) -> "Quantization":
        """The quantization of that name, written as it is known."""
        kind, *parts = text.split("+")
        overrides = dict(_override(part) for part in parts if part not in {_IMATRIX, _PURE})
        flags = [flag for flag in (_IMATRIX, _PURE) if flag in parts]
        if not _TYPE.fullmatch(kind.upper()) or len(overrides) + len(flags) != len(parts):
            raise ValueError(f"{text!r} is no quantization: {_FORM}")
        told = [f"{name}:{type_}" for name, type_ in overrides.items()]
        made = super().__new__(cls, "+".join([kind.upper(), *flags, *told]))
        made.type = kind.upper()
        made.imatrix, made.pure = (flag in flags for flag in (_IMATRIX, _PURE))
        made.output = overrides.pop(_OUTPUT, None)
        made.embeddings = overrides.pop(_EMBEDDINGS, None)
        made.tensors = tuple(overrides.items())
        return made

    def __getnewargs__(self) -> tuple[str]:
        """What a copy is made of."""
        return (str(self),)

    @property
    def types(self) -> tuple[str, ...]:
        """Every type that tensors are given by name."""
        given = (self.output, self.embeddings, *(type_ for _, type_ in self.tensors))
        return tuple(type_ for type_ in given if type_)


def _override(part: str) -> tuple[str, str]:
    found = _OVERRIDE.fullmatch(part)
    if not found:
        raise ValueError(f"{part!r} is no part of a quantization: {_FORM}")
    return found["tensors"], found["type"].upper()
