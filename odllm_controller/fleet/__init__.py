"""The fleet, from its controller: its head, its token, its devices and its events."""

from odllm_controller.fleet.head import Head

__all__ = ["Head"]
