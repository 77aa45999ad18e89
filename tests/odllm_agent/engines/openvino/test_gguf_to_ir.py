"""Converting GGUF files with the real openvino-genai, in real processes."""

import dataclasses
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

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
from odllm_agent.engines.openvino import gguf_to_ir
from odllm_agent.engines.openvino.gguf_to_ir import converted
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import (
    ChecksumMismatch,
    DiskFull,
    EngineError,
    ModelInvalid,
    OdllmError,
    UsageError,
)
from odllm_agent.files.checksum import joint_sha256
from odllm_agent.files.folders import ROOT_VARIABLE
from odllm_agent.formats.ir import MODEL, WEIGHTS
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.models import Cache, prepare
from odllm_agent.processes import child
from odllm_agent.trials.worker import run_round
from tests import driven, family, support
from tests.models import LADDER, write_gguf, write_split_gguf
from tests.odllm_agent.engines.loading import EXACT, asked

PLENTY = 10**12
VERSION = "1.0+genai.1.0"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny-F16.gguf")


def described(path: Path) -> ModelFile:
    request = ModelRequest("tiny", Source.FILE, str(path))
    return prepare(request, Cache.of_this_device(), PLENTY)


def undescribed(path: Path) -> ModelFile:
    """A file whose description says nothing against it."""
    content = path.read_bytes()
    return dataclasses.replace(
        support.model_file(),
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        file_bytes=len(content),
        weight_bytes=len(content),
    )


def forbidden(*_: object) -> None:
    pytest.fail("the file was converted again")


def leftovers() -> list[Path]:
    shelf = Cache.of_this_device().shelf
    return [path for folder in (shelf.files, shelf.unfinished) for path in folder.iterdir()]


def test_a_file_is_converted_once_and_found_whole(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = converted(described(tiny), VERSION)
    names = {path.name for path in folder.iterdir()}
    assert {MODEL, WEIGHTS, "openvino_tokenizer.xml"} < names
    assert not any(name.endswith(".gguf") for name in names)
    copy = shutil.copy(tiny, tmp_path / "another name.gguf")
    monkeypatch.setattr(gguf_to_ir, "_convert", forbidden)
    assert converted(described(Path(copy)), VERSION) == folder


def test_what_was_damaged_is_converted_again_and_another_version_converts_its_own(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def write(model: ModelFile, target: Path) -> None:
        made.append(model.sha256)
        target.mkdir()
        for name in (MODEL, WEIGHTS):
            (target / name).write_bytes(b"content")

    monkeypatch.setattr(gguf_to_ir, "_convert", write)
    model = undescribed(tiny)
    folder = converted(model, VERSION)
    assert converted(model, VERSION) == folder
    assert len(made) == 1
    (folder / WEIGHTS).write_bytes(b"Content")
    assert converted(model, VERSION) == folder
    assert (folder / WEIGHTS).read_bytes() == b"content"
    (folder / MODEL).unlink()
    assert converted(model, VERSION) == folder
    converted(model, "1.1")
    converted(dataclasses.replace(model, sha256="e" * 64), VERSION)
    assert len(made) == 5


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "parts").mkdir()
    return write_split_gguf(tmp_path / "parts")


def test_a_model_in_parts_becomes_what_the_whole_does(tiny: Path, parts: tuple[Path, ...]) -> None:
    folder, whole = converted(described(parts[0]), VERSION), converted(described(tiny), VERSION)
    assert described(parts[0]).sha256 != described(tiny).sha256
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert not list(folder.glob("*.gguf"))
    assert len(list(parts[0].parent.iterdir())) == len(parts)


def test_a_model_in_parts_runs(parts: tuple[Path, ...]) -> None:
    trial = Trial("d", described(parts[0]), asked("openvino", **EXACT), Workload("short", 8, 4))
    result = run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1)))
    assert result.failure is None
    assert len(result.repeats) == 1


def test_a_part_that_was_changed_or_taken_away_is_not_converted(parts: tuple[Path, ...]) -> None:
    model = described(parts[0])
    parts[1].write_bytes(parts[0].read_bytes())
    with pytest.raises(ChecksumMismatch, match="has changed"):
        converted(model, VERSION)
    parts[1].unlink()
    with pytest.raises(ChecksumMismatch, match="has changed"):
        converted(model, VERSION)
    assert leftovers() == []


def test_parts_that_cannot_be_joined_are_refused(parts: tuple[Path, ...]) -> None:
    parts[1].write_bytes(parts[0].read_bytes())
    joint = joint_sha256([hashlib.sha256(part.read_bytes()).hexdigest() for part in parts])
    model = dataclasses.replace(undescribed(parts[0]), sha256=joint)
    with pytest.raises(ModelInvalid, match="could not be converted"):
        converted(model, VERSION)
    assert leftovers() == []


def _converted(model: ModelFile) -> Path:
    return converted(model, VERSION)


def test_processes_that_convert_the_same_file_at_once_agree(tiny: Path) -> None:
    model = described(tiny)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        folders = list(pool.map(_converted, [model] * 3))
    assert len(set(folders)) == 1
    assert leftovers() == [folders[0]]


@pytest.mark.parametrize("cut_bytes", [1000, 600_000])
def test_a_file_that_was_cut_off_after_it_was_described_is_not_converted(
    tiny: Path, tmp_path: Path, cut_bytes: int
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes())
    model = described(cut)
    os.truncate(cut, cut.stat().st_size - cut_bytes)
    with pytest.raises(ChecksumMismatch, match="has changed since it was described"):
        converted(model, VERSION)
    assert leftovers() == []


def test_mutated_headers_cost_only_the_converting_process(tiny: Path, tmp_path: Path) -> None:
    chance = random.Random(5)
    content = tiny.read_bytes()
    for number in range(4):
        mutated = bytearray(content)
        for _ in range(8):
            mutated[chance.randrange(8, 2000)] = chance.randrange(256)
        path = tmp_path / f"mutated-{number}.gguf"
        path.write_bytes(mutated)
        with pytest.raises(OdllmError) as caught:
            converted(undescribed(path), VERSION)
        assert caught.value.remedy
    assert leftovers() == []


def test_a_hostile_file_is_a_failure_of_its_trial(tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 200)
    engine = Engine("openvino", "", check_settings("openvino", {"threads": 1}))
    trial = Trial("d", undescribed(path), engine, Workload("short", 8, 4))
    result = run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1)))
    assert result.failure is not None
    assert result.failure.kind == "ModelInvalid"
    assert "hostile.gguf" in result.failure.message


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (None, EngineError, "took too long"),
        (-9, EngineError, "for want of memory"),
        (-11, ModelInvalid, "died with SIGSEGV"),
        (child.REFUSED, ModelInvalid, "refuses it"),
        (7, EngineError, "status 7"),
    ],
)
def test_every_end_of_the_process_is_explained(
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
    kind: type[OdllmError],
    told: str,
) -> None:
    monkeypatch.setattr(child, "run", lambda *_: (status, ["its last words"]))
    with pytest.raises(kind, match=told) as caught:
        converted(undescribed(tiny), VERSION)
    assert caught.value.__notes__ == ["its last words"]
    assert leftovers() == []


def test_a_disk_that_is_too_small_is_told_before_converting(
    tiny: Path, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(small_disk(600_000) / "cache"))
    monkeypatch.setattr(gguf_to_ir, "_convert", forbidden)
    with pytest.raises(DiskFull, match="bytes are needed"):
        converted(undescribed(tiny), VERSION)


def test_a_cache_that_is_a_file_is_told(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be used"):
        converted(undescribed(tiny), VERSION)


def test_the_process_ends_when_whoever_started_it_is_gone(tiny: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "odllm_agent.engines.openvino.convert",
        str(tiny),
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(family.PATIENCE_S) == 1


@pytest.mark.skipif(not driven.may_mount(), reason="needs root and a private mount namespace")
def test_a_file_that_this_user_may_only_read_is_converted(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    # Even root may not write to what is mounted for reading.
    shell = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    convert = [sys.executable, "-m", "odllm_agent.engines.openvino.convert", str(tiny), str(target)]
    command = ["unshare", "-m", "sh", "-c", shell, str(tiny.parent), *convert]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.wait(family.PATIENCE_S) == 0, process.stderr and process.stderr.read()
    assert {MODEL, WEIGHTS} <= {path.name for path in target.iterdir()}
    assert not any(path.suffix == ".gguf" for path in target.iterdir())


@pytest.mark.parametrize("quantization", LADDER)
def test_the_description_tells_exactly_what_the_reader_reads(
    quantization: Quantization, tmp_path: Path
) -> None:
    request = ModelRequest("reference", Source.REFERENCE, "reference-1.6M", quantization)
    model = prepare(request, Cache.of_this_device(), PLENTY)
    assert (why_unsupported("openvino", model) is None) == reads(model.path, tmp_path)


@pytest.mark.parametrize("kind", ["BF16", "F32"])
def test_matrices_of_other_floats_are_not_read(kind: str, tmp_path: Path) -> None:
    model = described(write_gguf(tmp_path / f"{kind}.gguf", kind=kind))
    assert why_unsupported("openvino", model) is not None
    assert not reads(model.path, tmp_path)


def test_what_the_description_speaks_against_is_not_tried(tmp_path: Path) -> None:
    model = described(write_gguf(tmp_path / "bf16.gguf", kind="BF16"))
    with pytest.raises(EngineError, match="no tensor type BF16"):
        converted(model, VERSION)


def reads(path: str, target: Path) -> bool:
    """Whether the real reader takes a file, whatever is known of it."""
    command = [sys.executable, "-m", "odllm_agent.engines.openvino.convert", path, str(target)]
    status, _ = child.run(command, deadline_s=120)
    return status == 0
