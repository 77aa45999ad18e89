from pathlib import Path

import pytest

from odllm_agent.files.small_files import list_folder, read_int, read_ints, read_text, read_word
from tests.small_files import SPOILT, spoil, write


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_does_not_tell_is_none(tmp_path: Path, how: str) -> None:
    path = write(tmp_path, value="5\n") / "value"
    assert (read_int(path), read_word(path)) == (5, "5")
    spoil(path, how)
    assert (read_int(path), read_word(path)) == (None, None)
    assert read_ints([path, write(tmp_path, other="7\n") / "other"]) == [7]


@pytest.mark.parametrize("text", ["many", "1.5", "0x10", "9" * 5000])
def test_what_is_no_number_is_none(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, value=text) / "value"
    assert read_int(path) is None
    assert read_text(path) == text


def test_a_folder_is_listed_by_its_numbers(tmp_path: Path) -> None:
    write(tmp_path, cpu10="", cpu2="", cpu1="", cpuidle="", cpu1x="")
    names = [path.name for path in list_folder(tmp_path, "cpu[0-9]+")]
    assert names == ["cpu1", "cpu2", "cpu10"]


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_listed_is_empty(tmp_path: Path, how: str) -> None:
    spoil(tmp_path / "folder", how)
    assert list_folder(tmp_path / "folder") == []
