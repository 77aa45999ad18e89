"""Versions that have to agree."""

import dataclasses
import platform
from importlib import metadata

from odllm_agent.versions import Versions


def test_the_versions_of_this_process_are_those_that_run() -> None:
    here = Versions.here()
    assert (here.ray, here.python) == (metadata.version("ray"), platform.python_version())


def test_each_difference_is_told_with_both_versions() -> None:
    here = Versions("2.60.0", "3.11.7", "0.1.0")
    assert here.differences(here) == ()
    other = dataclasses.replace(here, ray="2.61.0", python="3.11.8")
    assert here.differences(other) == (
        "Ray is 2.60.0 here and 2.61.0 there",
        "Python is 3.11.7 here and 3.11.8 there",
    )
