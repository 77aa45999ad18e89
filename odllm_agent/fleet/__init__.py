"""Joining a fleet as a Ray node, and staying in it."""

from odllm_agent.fleet.membership import Membership
from odllm_agent.fleet.rejoining import Supervisor

__all__ = ["Membership", "Supervisor"]
