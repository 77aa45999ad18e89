"""The device's own store of model files, and what is known of each."""

from odllm_agent.cache.cache import Cache

__all__ = ["Cache"]
