"""What a GGUF model consists of: weights by their use, attention by its reach, and states."""

from odllm_agent.formats.anatomy.whole import anatomy

__all__ = ["anatomy"]
