"""How the engines here were built, and what of each build works on this processor."""

from odllm_agent.builds.found import Builds, Found, builds

__all__ = ["Builds", "Found", "builds"]
