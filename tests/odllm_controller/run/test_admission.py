"""Which devices may take part."""

from dataclasses import replace

from odllm_agent.host.versions import Versions
from odllm_controller.run.admission import why_refused
from tests import support


def test_a_device_of_another_version_is_refused_with_both() -> None:
    here = Versions.here()
    alike = support.device(odllm_version=here.odllm, python_version=here.python)
    assert why_refused(alike) == ""
    told = why_refused(replace(alike, odllm_version="9.9.9", python_version="3.0.1"))
    assert f"ODLLM is {here.odllm} here and 9.9.9 there" in told
    assert f"Python is {here.python} here and 3.0.1 there" in told
    assert "install the same versions on both" in told
