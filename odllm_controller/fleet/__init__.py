"""The head of the fleet on this machine."""

from odllm_controller.fleet.head import Head

__all__ = ["Head"]
