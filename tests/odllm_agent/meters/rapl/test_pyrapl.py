import importlib.metadata
import logging
import sys

import pytest

from odllm_agent.meters.rapl import pyrapl


def test_the_root_logger_is_left_as_it_was() -> None:
    root = logging.getLogger()
    handlers, filters, finders = list(root.handlers), list(root.filters), list(sys.meta_path)
    with pyrapl._quiet():
        logging.getLogger().info("nothing")
    assert (root.handlers, root.filters, sys.meta_path) == (handlers, filters, finders)


def test_other_warnings_than_pyrapls_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    with pyrapl._quiet():
        logging.getLogger().warning("imports error \n You need to install pymongo")
        logging.getLogger().warning("the disk is full")
    assert caplog.messages == ["the disk is full"]


def test_pyrapl_is_the_version_whose_sensors_are_known() -> None:
    assert importlib.metadata.version("pyRAPL") == "0.2.3.1"


def test_a_socket_that_pyrapl_passes_over_is_named() -> None:
    class Counters:
        def energy(self) -> list[float]:
            return [90e6, -1, 10e6]

    assert pyrapl.socket_value_j(Counters(), 2)() == 10.0
    for socket in (1, 3):
        with pytest.raises(LookupError, match=f"nothing of package {socket}"):
            pyrapl.socket_value_j(Counters(), socket)
