"""Getting, checking and quantizing model files on this device."""

from odllm_agent.cache import Cache
from odllm_agent.models.header import Header, read_header
from odllm_agent.models.sources import Foreseen, foresee, prepare

__all__ = ["Cache", "Foreseen", "Header", "foresee", "prepare", "read_header"]
