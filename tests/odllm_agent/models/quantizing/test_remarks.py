from pathlib import Path

import pytest

from odllm_agent.contract import Quantization, TypeShare
from odllm_agent.formats.header import read_header
from odllm_agent.models.quantizing import remarks
from tests.models import Shape, write_gguf, write_quantized

ODD = Shape(width=384, ffn=512)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "odd.gguf", ODD)


def test_rows_that_fit_no_block_are_told_with_what_becomes_of_them(odd: Path) -> None:
    made = read_header(write_quantized(odd, odd.with_name("made.gguf"), "Q4_K_M"))
    told = remarks.fallen_back(Quantization("Q4_K_M"), made)
    others = [each for each in made.tensors if len(each.shape) > 1 and each.shape[0] == 384]
    assert told.startswith("rows of 384 weights do not divide into blocks of 256: ")
    assert f"{len(others)} of " in told
    assert {"Q5_0", "Q8_0"} & {*told.replace(",", "").split()}
    # Rows of 512 keep theirs.
    assert {each.type for each in made.tensors if each.shape[0] == 512} <= {"Q4_K", "Q6_K"}


@pytest.mark.parametrize("quantization", ["Q4_0", "F16", "IQ4_NL", "Q8_0"])
def test_rows_that_fit_are_not_told_of(odd: Path, quantization: str) -> None:
    made = read_header(write_quantized(odd, odd.with_name("made.gguf"), quantization))
    assert remarks.fallen_back(Quantization(quantization), made) == ""


@pytest.mark.parametrize("quantization", ["IQ2_M", "IQ3_XS", "Q3_K_L", "TQ1_0", "Q2_K_S"])
def test_the_block_of_a_mix_is_that_of_its_types(tiny: Path, quantization: str) -> None:
    # Every row of the tiny model is a multiple of 256.
    assert remarks.fallen_back(Quantization(quantization), read_header(tiny)) == ""


def test_a_quantized_source_is_told_of(tiny: Path, tmp_path: Path) -> None:
    quantized = read_header(write_quantized(tiny, tmp_path / "q.gguf", "Q8_0"))
    told = remarks.of_making(Quantization("F16"), quantized, read_header(tiny))
    assert told[0].startswith("made of a Q8_0 file, whose losses are in every type made of it")
    assert remarks.of_making(Quantization("F16"), read_header(tiny), read_header(tiny)) == ()


def test_a_file_that_its_name_does_not_tell_is_told_by_its_types() -> None:
    mix = (TypeShare("Q5_0", 70), TypeShare("Q8_0", 20), TypeShare("Q4_K", 10))
    assert remarks.mixed("Q4_K_M", mix, 100) == "its weights are Q5_0 70 %, Q8_0 20 %, Q4_K 10 %"
    assert remarks.mixed("Q5_0", mix, 100) == ""
    assert remarks.mixed("Q4_K_M", (TypeShare("Q4_K", 60), TypeShare("Q6_K", 40)), 100) == ""
