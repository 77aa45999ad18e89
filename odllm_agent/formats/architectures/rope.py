"""The rotary factors of Llama 3.1 and 3.2."""

from decimal import Decimal, localcontext

from odllm_agent.formats.architectures.architecture import Architecture

_PI = Decimal("3.14159265358979323846264338327950288")
_FIRST_CONTEXT_TOKENS = 8192
_SLOW, _FAST = 1, 4


def rope_factors(architecture: Architecture) -> tuple[float, ...]:
    """What each rotary frequency is divided by, shape (head_width / 2,).

    The rule is `rope_type: llama3` of the published configs: frequencies that turn fully within a
    quarter of the context that Llama 3 was first trained on are kept, those that do not turn once
    within all of it are divided by the factor, and between the two it goes over smoothly. Worked
    out in decimal, it gives the same figures on every machine.
    """
    with localcontext(prec=40):
        half, family = architecture.head_width // 2, architecture.family
        steps = (Decimal(place) / half for place in range(half))
        base = Decimal(family.rope_base)
        return tuple(float(_divisor(base**step, family.rope_factor)) for step in steps)


def _divisor(wavelength_by_turn: Decimal, factor: int) -> Decimal:
    turns = _FIRST_CONTEXT_TOKENS / (2 * _PI * wavelength_by_turn)
    kept = min(max((turns - _SLOW) / (_FAST - _SLOW), Decimal(0)), Decimal(1))
    return 1 / ((1 - kept) / factor + kept)
