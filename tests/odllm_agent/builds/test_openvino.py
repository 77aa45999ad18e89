"""OpenVINO tried with a small model of each type in each form."""

from pathlib import Path

import pytest

from odllm_agent import builds

pytest.importorskip("openvino_genai")


def test_every_type_is_tried_in_each_form_with_one_thread_and_with_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_BUILDS_DIR", str(tmp_path))
    build = builds.builds().present["openvino"].build
    assert build.untested == ""
    assert {each.type for each in build.tests} == {"F16", "Q8_0", "Q4_0", "Q4_K"}
    for kind in ("F16", "Q8_0", "Q4_0", "Q4_K"):
        assert build.paths(kind) >= {"paged, one thread", "stateful, one thread"}
    # Whatever this processor's own code does, something runs each type.
    for kind in ("F16", "Q8_0", "Q4_0", "Q4_K"):
        faulty = {each.path for each in build.faults if each.type == kind}
        assert build.paths(kind) - faulty
