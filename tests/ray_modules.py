"""Modules that import Ray, for tests that look into them without a fleet."""

import importlib
import os
import sys
from types import ModuleType

from odllm_agent.network.ray_environment import surround
from odllm_controller.backends import surroundings


def imported(name: str) -> ModuleType:
    """A module, with the environment that a fleet of the same process wants Ray imported with."""
    if "ray" not in sys.modules:
        surround(surroundings.own())
    return importlib.import_module(name)


def spoilt() -> bool:
    """Whether Ray is here with another environment, so that no test after this one can use it."""
    return "ray" in sys.modules and not surroundings.own().items() <= os.environ.items()
