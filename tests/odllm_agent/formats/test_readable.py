"""What each engine can read, from descriptions alone."""

import dataclasses
import subprocess
import sys

import pytest

from odllm_agent.contract import Format, ModelFile
from odllm_agent.formats.readable import why_unsupported
from tests import support


def model(*tensor_types: str, **changes: object) -> ModelFile:
    return dataclasses.replace(
        support.model_file(),
        tensor_types=tensor_types,
        **changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("types", [("F32", "Q4_0"), ("F16", "F32"), ("F32", "Q4_K", "Q6_K")])
def test_openvino_reads_files_of_known_types(types: tuple[str, ...]) -> None:
    assert why_unsupported("openvino", model(*types)) is None


@pytest.mark.parametrize(
    ("types", "told"),
    [
        (("F32", "Q5_K", "Q6_K"), "no tensor type Q5_K"),
        (("F32",), "no tensor type F32 for matrices"),
        (("F32", "Q2_K", "Q3_K"), "no tensor type Q2_K or Q3_K"),
    ],
)
def test_one_unknown_type_is_enough_and_each_is_named(types: tuple[str, ...], told: str) -> None:
    assert told in (why_unsupported("openvino", model(*types)) or "")


def test_another_architecture_is_named() -> None:
    reason = why_unsupported("openvino", model("F16", architecture="phi3"))
    assert reason is not None
    assert "phi3" in reason


def test_a_folder_of_openvino_is_for_openvino_only() -> None:
    folder = model("INT4", format=Format.OPENVINO_IR, architecture="phi3")
    assert why_unsupported("openvino", folder) is None
    assert "GGUF" in (why_unsupported("llama_cpp", folder) or "")


def test_llama_cpp_is_not_held_back_by_types() -> None:
    assert why_unsupported("llama_cpp", model("Q2_K")) is None


def test_an_unknown_engine_is_for_others_to_refuse() -> None:
    assert why_unsupported("abacus", model("Q2_K")) is None


def test_no_engine_is_needed_to_tell() -> None:
    code = (
        "import sys, odllm_agent.formats.readable;"
        "sys.exit(any(name in sys.modules for name in ('openvino', 'llama_cpp', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
