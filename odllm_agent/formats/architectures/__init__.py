"""The published architectures whose shapes can be filled with random weights."""

from odllm_agent.formats.architectures.architecture import (
    ROPE_FACTORS,
    Architecture,
    Experts,
    Family,
    StateSpace,
    Value,
)
from odllm_agent.formats.architectures.parts import DECAYS
from odllm_agent.formats.architectures.published import ARCHITECTURES
from odllm_agent.formats.architectures.rope import rope_factors

__all__ = [
    "ARCHITECTURES",
    "DECAYS",
    "ROPE_FACTORS",
    "Architecture",
    "Experts",
    "Family",
    "StateSpace",
    "Value",
    "rope_factors",
]
