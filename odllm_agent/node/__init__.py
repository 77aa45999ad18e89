"""Joining a fleet as a Ray node, and staying in it."""

from odllm_agent.node.membership import Membership
from odllm_agent.node.supervisor import Supervisor

__all__ = ["Membership", "Supervisor"]
