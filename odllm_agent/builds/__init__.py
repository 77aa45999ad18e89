"""How the engines here were built, and what of each build works on this processor."""

from odllm_agent.builds.found import Builds, UsableEngine, builds

__all__ = ["Builds", "UsableEngine", "builds"]
