"""Getting, checking and quantizing model files on this device."""

from odllm_agent.models.cache import Cache
from odllm_agent.models.header import Header, read_header
from odllm_agent.models.sources import memory_bytes, prepare

__all__ = ["Cache", "Header", "memory_bytes", "prepare", "read_header"]
