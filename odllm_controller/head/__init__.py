"""The fleet, from its controller: its head, its token, its devices and its events."""

from odllm_controller.head.head import Head

__all__ = ["Head"]
