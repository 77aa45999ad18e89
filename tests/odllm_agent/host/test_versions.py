"""Versions that have to agree."""

import dataclasses
import platform
from importlib import metadata

from odllm_agent.host.versions import Versions


def test_the_versions_of_this_process_are_those_that_run() -> None:
    here = Versions.here()
    assert (here.ray, here.python) == (metadata.version("ray"), platform.python_version())


def test_each_difference_is_told_with_both_versions() -> None:
    here = Versions("2.60.0", "3.11.7", "0.1.0")
    assert here.differences(here) == ()
    other = dataclasses.replace(here, ray="2.61.0", python="3.13.5")
    assert here.differences(other) == (
        "Ray is 2.60.0 here and 2.61.0 there",
        "Python is 3.11.7 here and 3.13.5 there",
    )


def test_patches_of_one_python_agree() -> None:
    here = Versions("2.60.0", "3.11.7", "0.1.0")
    assert here.differences(dataclasses.replace(here, python="3.11.12")) == ()
    assert here.differences(dataclasses.replace(here, python="3.1.7"))


def test_what_another_machine_needs_is_said_without_the_patch() -> None:
    assert Versions("2.60.0", "3.11.7", "0.1.0").needed == "Ray 2.60.0, Python 3.11, ODLLM 0.1.0"
