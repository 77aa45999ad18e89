"""From whom a file comes: the fleet's model server first, where this device was told of one."""

import importlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from odllm_agent.errors import ModelError
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE

if TYPE_CHECKING:
    from odllm_agent.models.download.fleet_server import FleetServer

_log = logging.getLogger(__name__)

T = TypeVar("T")


def fleet_first(ask_fleet: "Callable[[FleetServer], T]", ask_elsewhere: Callable[[str], T]) -> T:
    """What the fleet's server gives, or, on any trouble with it, what another does.

    Args:
        ask_fleet: Asks the server.
        ask_elsewhere: Asks another; it is given what was wrong with the server, or `""` if this
            device was told of none.

    Raises:
        ModelError: Neither gives it; the message tells of both.
    """
    trouble = ""
    if os.environ.get(ADDRESS_VARIABLE):
        module = importlib.import_module("odllm_agent.models.download.fleet_server")
        try:
            return ask_fleet(module.FleetServer.of_environment())
        except ModelError as error:
            trouble = error.message
            _log.warning("%s; it is asked for elsewhere", trouble)
    try:
        return ask_elsewhere(trouble)
    except ModelError as error:
        if not trouble:
            raise
        raise type(error)(f"{error.message}; before that, {trouble}", error.remedy) from error
