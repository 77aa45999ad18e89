"""What became of a model's files since their checksum was taken: real files, really changed."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.cache import change
from odllm_agent.cache.change import refuse_changed
from odllm_agent.contract import Format, ModelFile, from_json, to_json
from odllm_agent.errors import ModelChanged
from odllm_agent.files import checksum
from odllm_agent.files.checksum import folder_sha256, read_through
from odllm_agent.formats.ir import counted_files
from tests import support

CONTENT = bytes(range(256)) * 16


def described(*paths: Path) -> ModelFile:
    """A model of files as they are now."""
    return replace(support.model_file(), path=str(paths[0]), files=read_through(paths))


def written(path: Path, content: bytes = CONTENT) -> Path:
    path.write_bytes(content)
    return path


def replaced(path: Path, content: bytes) -> None:
    written(path.with_suffix(".new"), content).replace(path)


def in_place(path: Path, content: bytes, at: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def with_its_times(path: Path, change: Callable[[], None]) -> None:
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def moved(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def linked_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def foldered(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "another file": (lambda path: replaced(path, b"another"), "was replaced by another file"),
    "one of its size": (lambda path: replaced(path, CONTENT[::-1]), "was replaced by another file"),
    "some bytes": (lambda path: in_place(path, b"xyz", 500), "was changed in place"),
    "bytes and its old time": (
        lambda path: with_its_times(path, lambda: in_place(path, b"xyz", 500)),
        "was changed in place",
    ),
    "more bytes": (lambda path: in_place(path, b"more", len(CONTENT)), "was changed in place"),
    "written over by a longer one": (
        lambda path: in_place(path, CONTENT * 2),
        r"was changed in place \(4,096 bytes before, 8,192 now\)",
    ),
    "fewer bytes": (
        lambda path: os.truncate(path, 100),
        r"became shorter \(4,096 bytes before, 100 now\)",
    ),
    "none": (lambda path: os.truncate(path, 0), "became shorter"),
    "removed": (Path.unlink, "was removed"),
    "moved": (moved, "was removed"),
    "its folder removed": (lambda path: shutil.rmtree(path.parent), "was removed"),
    "a folder": (foldered, "was replaced by another file"),
    "a link to nothing": (linked_to_nothing, "was removed"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_file_that_has_changed_is_named_with_what_became_of_it(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = written(folder / "model.gguf")
    model = described(path)
    make, told = CHANGES[kind]
    make(path)
    with pytest.raises(ModelChanged, match=told) as caught:
        refuse_changed(model)
    assert caught.value.message.startswith(str(path))
    assert "run the command again" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    model = described(written(tmp_path / "model.gguf", b""))
    piped(tmp_path / "model.gguf")
    with pytest.raises(ModelChanged, match="was replaced"):
        refuse_changed(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        os.utime,
        lambda path: replaced(path, CONTENT),
        lambda path: in_place(path, CONTENT),
        lambda path: path.chmod(0o600),
        lambda path: path.with_suffix(".link").hardlink_to(path),
    ],
    ids=["nothing", "touched", "a copy", "written anew", "its mode", "linked"],
)
def test_a_file_of_the_same_bytes_is_the_same(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = written(tmp_path / "model.gguf")
    model = described(path)
    make(path)
    refuse_changed(model)


def test_a_number_that_does_not_last_is_no_change(tmp_path: Path) -> None:
    model = described(written(tmp_path / "model.gguf"))
    (file,) = model.files
    refuse_changed(replace(model, files=(replace(file, inode=1, device=2),)))


def test_a_file_that_is_as_it_was_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = described(written(tmp_path / "model.gguf"))
    monkeypatch.setattr(change, "sha256_of", None)
    refuse_changed(from_json(ModelFile, to_json(model)))


def test_a_file_in_doubt_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "model.gguf")
    monkeypatch.setattr(checksum, "_SETTLED_AFTER_S", -1.0)
    model = described(path)
    os.utime(path, (1, 1))
    refuse_changed(model)
    monkeypatch.setattr("odllm_agent.files.checksum.hashlib.file_digest", None)
    refuse_changed(model)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_part_counts(number: int, tmp_path: Path) -> None:
    names = [f"m-0000{place}-of-00003.gguf" for place in (1, 2, 3)]
    parts = [written(tmp_path / name, CONTENT + name.encode()) for name in names]
    model = described(*parts)
    refuse_changed(model)
    in_place(parts[number], b"x")
    with pytest.raises(ModelChanged, match=names[number]):
        refuse_changed(model)


def test_a_link_to_another_file_is_a_replacement(tmp_path: Path) -> None:
    link = tmp_path / "current.gguf"
    link.symlink_to(written(tmp_path / "one.gguf"))
    model = described(link)
    written(tmp_path / "two.gguf", CONTENT[::-1])
    link.unlink()
    link.symlink_to(tmp_path / "two.gguf")
    with pytest.raises(ModelChanged, match=r"current\.gguf was replaced"):
        refuse_changed(model)


def test_a_model_that_does_not_tell_its_files_is_not_looked_at() -> None:
    refuse_changed(support.model_file())


@pytest.fixture
def folder(tmp_path: Path) -> ModelFile:
    for name in ("openvino_model.xml", "openvino_model.bin", "config.json"):
        written(tmp_path / name, name.encode())
    files = read_through(counted_files(tmp_path))
    return replace(
        support.model_file(),
        path=str(tmp_path),
        sha256=folder_sha256(files),
        files=files,
        format=Format.OPENVINO_IR,
    )


@pytest.mark.parametrize("name", ["openvino_model.xml", "openvino_model.bin", "config.json"])
def test_every_file_of_a_folder_counts(name: str, folder: ModelFile) -> None:
    refuse_changed(folder)
    replaced(Path(folder.path, name), b"another")
    with pytest.raises(ModelChanged, match=name):
        refuse_changed(folder)


def test_a_file_more_in_a_folder_is_a_change_if_it_counts(folder: ModelFile) -> None:
    written(Path(folder.path, "README.md"))
    refuse_changed(folder)
    written(Path(folder.path, "openvino_tokenizer.xml"))
    with pytest.raises(ModelChanged, match=r"openvino_tokenizer\.xml was added"):
        refuse_changed(folder)
