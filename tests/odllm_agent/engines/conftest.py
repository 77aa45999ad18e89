"""A cache and a model that the tests of OpenVINO share."""

from collections.abc import Iterator

import pytest

from odllm_agent.contract import ModelFile
from odllm_agent.files.folders import ROOT_VARIABLE
from tests.models import write_gguf
from tests.odllm_agent.engines.loading import described


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All tests of a run share what was converted, whichever process they run in."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT_VARIABLE, str(base.parent / "openvino-cache"))
        yield


@pytest.fixture(scope="module")
def model(one_cache: None, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return described(write_gguf(tmp_path_factory.mktemp("model") / "tiny-F16.gguf"))
