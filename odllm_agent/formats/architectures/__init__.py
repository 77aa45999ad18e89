"""The published architectures whose shapes can be filled with random weights."""

from odllm_agent.formats.architectures.architecture import (
    ROPE_FACTORS,
    Architecture,
    Experts,
    Family,
    Value,
)
from odllm_agent.formats.architectures.published import ARCHITECTURES
from odllm_agent.formats.architectures.rope import rope_factors

__all__ = [
    "ARCHITECTURES",
    "ROPE_FACTORS",
    "Architecture",
    "Experts",
    "Family",
    "Value",
    "rope_factors",
]
