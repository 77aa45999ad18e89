"""Getting, checking and quantizing model files on this device."""

from odllm_agent.cache import Cache
from odllm_agent.formats.header import Header, read_header
from odllm_agent.models.inventory import holdings, removed, unneeded
from odllm_agent.models.sources import Foreseen, foresee, prepare

__all__ = [
    "Cache",
    "Foreseen",
    "Header",
    "foresee",
    "holdings",
    "prepare",
    "read_header",
    "removed",
    "unneeded",
]
