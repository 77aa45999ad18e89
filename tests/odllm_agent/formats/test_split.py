"""Models in parts: their names, their headers, and what llama.cpp makes of them."""

import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Engine,
    Measurement,
    ModelFile,
    ModelRequest,
    Quantization,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.files.checksum import joint_sha256, sha256_of
from odllm_agent.formats.split import first_name, numbered_names, part_names
from odllm_agent.models import Cache, prepare, read_header
from odllm_agent.trials.worker import run_round
from tests.models import write_split_gguf

PLENTY = 10**12


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, ...]:
    """The parts of a model, in a folder of their own."""
    folder = tmp_path / "parts"
    folder.mkdir()
    return write_split_gguf(folder)


def get(path: Path, cache: Cache, quantization: Quantization | None = None) -> ModelFile:
    return prepare(ModelRequest("tiny", Source.FILE, str(path), quantization), cache, PLENTY)


def swap(path: Path, key: str, old: int, new: int, form: str = "<H") -> None:
    """Changes a number in a file's metadata, in place."""
    content = path.read_bytes()
    place = content.index(key.encode()) + len(key) + 4
    assert struct.unpack_from(form, content, place) == (old,)
    changed = bytearray(content)
    struct.pack_into(form, changed, place, new)
    path.write_bytes(changed)


@given(stem=st.text(min_size=1), count=st.integers(2, 200), number=st.integers(0, 199))
def test_a_part_s_name_tells_those_of_all(stem: str, count: int, number: int) -> None:
    names = numbered_names(stem, count)
    assert len(set(names)) == count
    assert part_names(names[0]) == names
    assert first_name(names[min(number, count - 1)]) == names[0]


@pytest.mark.parametrize(
    "name",
    [
        "a.gguf",
        "a-1-of-3.gguf",
        "-00001-of-00003.gguf",
        "a-00001-of-00003.bin",
        "a-00002-of-00003.gguf",
    ],
)
def test_any_other_name_stands_for_itself(name: str) -> None:
    assert part_names(name) == (name,)


def test_the_parts_are_one_model(parts: tuple[Path, ...], tiny: Path) -> None:
    header, whole = read_header(parts[0]), read_header(tiny)
    assert header.parts == parts
    assert header.path == parts[0]
    assert header.file_bytes == sum(part.stat().st_size for part in parts)
    assert (header.weight_bytes, header.n_weights) == (whole.weight_bytes, whole.n_weights)
    assert [tensor.name for tensor in header.tensors] == [tensor.name for tensor in whole.tensors]
    assert (header.architecture, header.quantization) == ("qwen2", "F16")
    assert (header.context_tokens, header.n_blocks) == (whole.context_tokens, whole.n_blocks)


def test_a_first_part_may_hold_metadata_only(tmp_path: Path, tiny: Path) -> None:
    parts = write_split_gguf(tmp_path, first_empty=True)
    assert len(parts) == 4
    assert read_header(parts[0]).n_weights == read_header(tiny).n_weights


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_part_is_named(parts: tuple[Path, ...], number: int) -> None:
    parts[number].unlink()
    with pytest.raises(ModelMissing, match=f"part {number + 1} of 3") as caught:
        read_header(parts[0])
    assert str(parts[number]) in caught.value.message
    assert "beside each other" in caught.value.remedy


def test_a_later_part_is_refused_with_the_first_one_s_name(parts: tuple[Path, ...]) -> None:
    with pytest.raises(ModelInvalid, match="part 2 of 3") as caught:
        read_header(parts[1])
    assert "-00001-of-00003.gguf" in caught.value.remedy


def test_a_name_that_llama_cpp_would_not_take_is_refused(parts: tuple[Path, ...]) -> None:
    renamed = parts[0].rename(parts[0].with_name("model.gguf"))
    with pytest.raises(ModelInvalid, match="its name does not say so") as caught:
        read_header(renamed)
    assert "MODEL-00001-of-00003.gguf" in caught.value.remedy


@pytest.mark.parametrize(
    ("key", "old", "new", "form"),
    [
        ("split.no", 1, 2, "<H"),
        ("split.count", 3, 4, "<H"),
        ("split.tensors.count", 14, 15, "<i"),
    ],
)
def test_a_part_of_another_model_is_named(
    parts: tuple[Path, ...], key: str, old: int, new: int, form: str
) -> None:
    swap(parts[1], key, old, new, form)
    with pytest.raises(ModelInvalid, match="does not belong") as caught:
        read_header(parts[0])
    assert str(parts[1]) in caught.value.message


def test_a_part_that_holds_the_same_tensors_again_is_told(
    parts: tuple[Path, ...], tmp_path: Path
) -> None:
    shutil.copy(parts[0], parts[1])
    swap(parts[1], "split.no", 0, 1)
    with pytest.raises(ModelInvalid, match="same name"):
        read_header(parts[0])


def test_parts_that_hold_fewer_tensors_than_stated_are_told(parts: tuple[Path, ...]) -> None:
    for part in parts:
        swap(part, "split.tensors.count", 14, 15, "<i")
    with pytest.raises(ModelInvalid, match="hold 14 tensors, and 15 are stated"):
        read_header(parts[0])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_part_that_is_cut_off_is_named(parts: tuple[Path, ...], number: int) -> None:
    parts[number].write_bytes(parts[number].read_bytes()[:-1])
    with pytest.raises(ModelInvalid, match="cut off") as caught:
        read_header(parts[0])
    assert str(parts[number]) in caught.value.message


@pytest.mark.parametrize("count", [4, 65_535])
def test_parts_that_are_only_claimed_are_told(parts: tuple[Path, ...], count: int) -> None:
    swap(parts[0], "split.count", 3, count)
    with pytest.raises(ModelInvalid, match=f"first of {count} parts"):
        read_header(parts[0])


def test_the_checksum_stands_for_all_parts(
    parts: tuple[Path, ...], cache: Cache, tmp_path: Path
) -> None:
    made = get(parts[0], cache)
    assert made.sha256 == joint_sha256([sha256_of(part) for part in parts])
    content = bytearray(parts[2].read_bytes())
    content[-1] ^= 1
    parts[2].write_bytes(content)
    assert get(parts[0], cache).sha256 != made.sha256


def test_llama_cpp_quantizes_it_as_it_does_the_whole(
    parts: tuple[Path, ...], cache: Cache, tiny: Path
) -> None:
    made = get(parts[0], cache, Quantization("Q4_K_M"))
    whole = get(tiny, cache, Quantization("Q4_K_M"))
    assert read_header(Path(made.path)).tensors == read_header(Path(whole.path)).tensors


def test_llama_cpp_runs_it_from_its_first_part(parts: tuple[Path, ...], cache: Cache) -> None:
    model = prepare(ModelRequest("tiny", Source.FILE, str(parts[0])), cache, PLENTY)
    engine = Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1}))
    trial = Trial("here", model, engine, Workload("w", prompt_tokens=8, output_tokens=4))
    result = run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1)))
    assert result.failure is None
    assert len(result.repeats) == 1
