"""`odllm-agent models`, as a person or a script uses it."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from odllm_agent.cache.cache import Download, RemoteFile
from odllm_agent.cli import main
from odllm_agent.contract import ModelFile, from_json, to_json
from odllm_agent.models import Cache
from tests import family
from tests.hub_server import COMMIT, Fault, Hub, sha256
from tests.models import write_gguf, write_split_gguf

REPOSITORY = "ACME/Tiny-1M-GGUF"
FILE = "tiny-F16.gguf"
LOCATION = f"hub:{REPOSITORY}/{FILE}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / FILE)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The device's cache."""
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ODLLM_CACHE_MAX_BYTES", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> "Told":
    return Told(capsys)


def hold(root: Path, *contents: bytes) -> list[str]:
    """Lets the cache hold models of these contents, and gives their checksums."""
    for content in contents:

        def fetch(_: RemoteFile, path: Path, content: bytes = content) -> None:
            path.write_bytes(content)

        file = RemoteFile("a model", sha256(content), len(content))
        Cache(root).fetched(Download(f"of {file.sha256}"), [file], fetch)
    return [sha256(content) for content in contents]


class Told:
    """Runs a command and gives what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> str:
        self._capsys.readouterr()
        assert main(["models", *arguments]) == status
        return "".join(self._capsys.readouterr())

    def json(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status))


def test_a_cache_that_is_not_there_is_empty(root: Path, told: Told) -> None:
    assert told.json("list") == {
        "root": str(root), "total_bytes": 0, "limit_bytes": None, "models": []
    }  # fmt: skip
    assert "0 bytes without a limit" in told("list")
    assert told.json("verify") == {"checked": 0, "damaged": [], "removed": []}
    assert told.json("remove", "--all", "--yes") == {"removed": []}
    assert not root.exists()


def test_what_is_pulled_is_listed_with_where_it_comes_from(
    hub: Hub, root: Path, source: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPOSITORY, {FILE: source.read_bytes()})
    pulled = from_json(ModelFile, told("pull", f"{LOCATION}@{COMMIT}", "--json"))
    made = from_json(
        ModelFile, told("pull", f"{LOCATION}@{COMMIT}", "--quantization", "Q4_0", "--json")
    )
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "1GB")
    listed = told.json("list")
    rows = {row["quantization"]: row for row in listed["models"]}
    assert rows["F16"]["sha256"] == pulled.sha256 == sha256(source.read_bytes())
    assert rows["F16"]["made_from"] == [{"location": f"{LOCATION}@{COMMIT}"}]
    assert rows["Q4_0"]["made_from"][0]["source_sha256"] == pulled.sha256
    assert rows["Q4_0"]["paths"] == [made.path]
    assert listed["total_bytes"] == pulled.file_bytes + made.file_bytes
    assert listed["limit_bytes"] == 10**9
    shown = told("list")
    assert shown.count(f"{LOCATION}@{COMMIT}") == 2
    assert "of 1.00 GB" in shown
    assert all(row["sha256"][:12] in shown for row in listed["models"])


def test_the_last_used_comes_first(root: Path, told: Told) -> None:
    first, second = hold(root, b"a", b"b")
    os.utime(root / "used" / first, (1000, 1000))
    assert [row["sha256"] for row in told.json("list")["models"]] == [second, first]
    hold(root, b"a")
    assert [row["sha256"] for row in told.json("list")["models"]] == [first, second]


def test_a_reference_model_is_pulled_by_its_name(root: Path, told: Told) -> None:
    shown = told("pull", "reference-1.6M", "--quantization", "Q8_0")
    assert "Q8_0" in shown
    assert "BPW" in shown
    assert str(root) in shown
    assert "reference-1.6M, Q8_0, " in told("list")


def test_a_file_in_parts_is_one_model_of_the_list(
    hub: Hub, root: Path, tmp_path: Path, told: Told
) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {part.name: part.read_bytes() for part in parts})
    told("pull", f"hub:{REPOSITORY}/{parts[0].name}@{COMMIT}")
    (row,) = told.json("list")["models"]
    assert len(row["paths"]) == len(parts)
    assert row["file_bytes"] == sum(part.stat().st_size for part in parts)
    assert told.json("verify")["damaged"] == []
    Path(row["paths"][1]).unlink()
    assert told.json("list")["models"][0]["quantization"] == "unfinished"
    assert told.json("remove", row["sha256"], "--yes") == {"removed": [row["sha256"]]}
    assert not list((root / "files").iterdir())


def test_an_unpinned_file_is_wrong_usage_and_told_how_to_pin(
    hub: Hub, root: Path, source: Path, told: Told
) -> None:
    hub.add(REPOSITORY, {FILE: source.read_bytes()})
    assert COMMIT in told("pull", f"{LOCATION}@main", status=2)
    assert told("pull", f"{LOCATION}@main", "--sha256", sha256(source.read_bytes()))


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["pull", "nothing"], 2, "no reference model"),
        (["pull", "hub:../../etc/passwd@main"], 2, "no name of a repository"),
        (["pull", "file:/none.gguf"], 1, "no model file"),
        (
            ["pull", "reference-1.6M", "--quantization", "Q9"],
            2,
            "choose from BF16, F16, F32, IQ1_M",
        ),
        (["pull", "reference-1.6M", "--sha256", "0" * 64], 1, "not the file that was named"),
        (["remove"], 2, "give checksums, or --all"),
        (["remove", "abc", "--all"], 2, "give checksums, or --all"),
        (["remove", "abc"], 2, "0 models have a checksum"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_status(
    root: Path, told: Told, arguments: list[str], status: int, reason: str
) -> None:
    assert reason in told(*arguments, status=status)


def test_a_limit_that_is_no_size_is_wrong_usage(
    root: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "lots")
    assert "ODLLM_CACHE_MAX_BYTES" in told("list", status=2)


def test_damage_is_found_named_and_removed(root: Path, told: Told) -> None:
    wrong, right = hold(root, b"wrong", b"right")
    assert told.json("verify") == {"checked": 2, "damaged": [], "removed": []}
    path = root / "files" / f"{wrong}.gguf"
    path.write_bytes(b"wrung")
    assert told.json("verify", status=1) == {"checked": 2, "damaged": [wrong], "removed": []}
    assert f"damaged: {path}" in told("verify", status=1)
    assert f"damaged, removed: {path}" in told("verify", "--fix", status=1)
    assert told.json("verify") == {"checked": 1, "damaged": [], "removed": []}
    assert [entry.key for entry in Cache(root).shelf.entries()] == [right]
    assert len(list((root / "fetched").iterdir())) == 1


def test_a_model_is_removed_by_the_start_of_its_checksum(root: Path, told: Told) -> None:
    first, second = hold(root, b"a", b"b")
    assert told.json("remove", first[:6].upper(), "--yes") == {"removed": [first]}
    assert [row["sha256"] for row in told.json("list")["models"]] == [second]


def test_a_start_that_several_checksums_share_removes_nothing(root: Path, told: Told) -> None:
    held = hold(root, *(bytes([number]) for number in range(17)))
    start = next(key[0] for key in held if sum(other[0] == key[0] for other in held) > 1)
    assert "models have a checksum that starts with" in told("remove", start, "--yes", status=2)
    assert len(told.json("list")["models"]) == len(held)


def test_everything_is_removed_unfinished_files_too(root: Path, told: Told) -> None:
    hold(root, b"a")
    (root / "unfinished" / "left.part").write_bytes(b"left")
    assert len(told.json("remove", "--all", "--yes")["removed"]) == 2
    left = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_what_is_being_fetched_is_not_removed(root: Path, told: Told) -> None:
    (key,) = hold(root, b"a")
    with Cache(root).shelf.lock(key):
        assert f"not removed, in use: {key}" in told("remove", "--all", "--yes", status=1)
    assert len(told.json("list")["models"]) == 1


class Terminal(io.StringIO):
    """Someone who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("\n", 1), ("no\n", 1), ("", 1)])
def test_nothing_is_removed_unasked(
    root: Path, told: Told, monkeypatch: pytest.MonkeyPatch, typed: str, left: int
) -> None:
    hold(root, b"a")
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert "remove 1 with 1 bytes?" in told("remove", "--all")
    assert len(told.json("list")["models"]) == left


def test_a_script_has_to_say_yes(root: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(root, b"a")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert "--yes" in told("remove", "--all", status=2)
    assert len(told.json("list")["models"]) == 1


@pytest.mark.parametrize("action", [[], ["list"], ["pull"], ["verify"], ["remove"]])
def test_help_shows_examples(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", *action, "--help"])
    assert "odllm-agent models pull reference-1.6M" in capsys.readouterr().out


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the real command in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-m", "odllm_agent", "models", *arguments],
        env=clean | {"HF_HOME": str(home), "NO_PROXY": "127.0.0.1"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_client_s_own_variables_are_honoured_and_its_folders_left_alone(
    hub: Hub, root: Path, source: Path, tmp_path: Path
) -> None:
    hub.add(REPOSITORY, {FILE: source.read_bytes()}).token = "hf_secret"
    home = tmp_path / "home"
    location = f"{LOCATION}@{COMMIT}"
    refused = run(home, "pull", location, HF_ENDPOINT=hub.url)
    assert refused.returncode == 1
    assert "HF_TOKEN" in refused.stderr
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": hub.url}
    assert "HF_HUB_OFFLINE is set" in run(home, "pull", location, **offline).stderr
    pulled = run(home, "pull", location, HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    assert pulled.returncode == 0
    assert pulled.stderr == ""
    asked = len(hub.asked)
    assert run(home, "pull", location, **offline).stdout == pulled.stdout
    assert len(hub.asked) == asked
    assert not home.exists()
    assert {asked.path.split("/")[1] for asked in hub.asked} == {"ACME"}


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_is_shown_a_bar(hub: Hub, root: Path, source: Path, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415 - Windows has none
    import termios  # noqa: PLC0415 - as above

    hub.add(REPOSITORY, {FILE: source.read_bytes()})
    seen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [sys.executable, "-m", "odllm_agent", "models", "pull", f"{LOCATION}@{COMMIT}"]
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(seen, 10_000).decode()
    os.close(seen)
    assert FILE in shown
    assert "100%" in shown


def test_no_client_is_loaded_for_what_needs_no_hub(root: Path, source: Path) -> None:
    program = (
        "import sys\n"
        "from odllm_agent.cli import main\n"
        f"main(['models', 'pull', 'file:{source}', '--quantization', 'Q4_0'])\n"
        "sys.exit('huggingface_hub' in sys.modules or 'httpx2' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_two_who_pull_the_same_at_once_fetch_it_once(
    hub: Hub, root: Path, source: Path, tmp_path: Path
) -> None:
    hub.add(REPOSITORY, {FILE: source.read_bytes()})
    command = [sys.executable, "-m", "odllm_agent", "models", "pull", f"{LOCATION}@{COMMIT}"]
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    assert len(hub.stored) == 1
    assert [entry.finished for entry in Cache(root).shelf.entries()] == [True]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_pull_that_was_ended_goes_on_where_it_was(
    hub: Hub, root: Path, source: Path, tmp_path: Path, told: Told, end: signal.Signals
) -> None:
    content = source.read_bytes()
    hub.add(REPOSITORY, {FILE: content})
    held = threading.Event()
    hub.storage_faults.append(Fault(break_after_bytes=500_000, held=held))
    program = (
        "import sys\n"
        "from odllm_agent.models.download import hub_client\n"
        "from odllm_agent.__main__ import main\n"
        "hub_client.constants.DOWNLOAD_CHUNK_SIZE = 100_000\n"
        f"sys.argv[1:] = ['models', 'pull', '{LOCATION}@{COMMIT}']\n"
        "sys.exit(main())\n"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        partial = root / "unfinished" / f"{sha256(content)}.part"
        while not (partial.exists() and partial.stat().st_size):
            assert process.poll() is None
        process.send_signal(end)
        _, last_words = process.communicate(timeout=family.PATIENCE_S)
    held.set()
    is_asked = end is not signal.SIGKILL
    assert process.returncode == (128 + end if is_asked else -end)
    assert last_words == ("odllm-agent: interrupted\n" if is_asked else "")
    assert not list((root / "files").iterdir())
    begun_bytes = partial.stat().st_size
    assert told("pull", f"{LOCATION}@{COMMIT}")
    assert hub.stored[-1].headers["range"] == f"bytes={begun_bytes}-"
    assert [path.name for path in (root / "files").iterdir()] == [f"{sha256(content)}.gguf"]


def test_a_converted_form_is_listed_checked_and_removed_like_any_model(
    root: Path, told: Told
) -> None:
    converted = pytest.importorskip("odllm_agent.engines.openvino.gguf_to_ir").converted
    model = from_json(ModelFile, told("pull", "reference-1.6M", "--quantization", "Q4_0", "--json"))
    code = (
        "import sys\n"
        "from odllm_agent.contract import ModelFile, from_json\n"
        f"from {converted.__module__} import converted\n"
        "print(converted(from_json(ModelFile, sys.argv[1]), '2.0'))\n"
    )
    command = [sys.executable, "-c", code, to_json(model)]
    folder = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    row = next(row for row in told.json("list")["models"] if row["paths"] == [folder])
    assert row["quantization"] == "INT4"
    assert row["made_from"] == [{"source_sha256": model.sha256, "reader": "2.0"}]
    assert row["file_bytes"] == sum(path.stat().st_size for path in Path(folder).iterdir())
    assert "reference-1.6M Q4_0, 2.0, in OpenVINO's form" in told("list")
    assert told.json("verify") == {"checked": 2, "damaged": [], "removed": []}
    weights = Path(folder, "openvino_model.bin")
    weights.write_bytes(weights.read_bytes()[::-1])
    assert told.json("verify", status=1)["damaged"] == [row["sha256"]]
    assert told.json("remove", row["sha256"][:8], "--yes") == {"removed": [row["sha256"]]}
    assert not Path(folder).exists()
    assert not list((root / "converted").iterdir())


@pytest.mark.parametrize("split", [False, True])
def test_a_file_is_copied_into_the_cache_by_its_content(
    root: Path, told: Told, source: Path, tmp_path: Path, split: bool
) -> None:
    paths = write_split_gguf(tmp_path) if split else [source]
    added = told.json("add", str(paths[0]))
    (row,) = told.json("list")["models"]
    assert row["sha256"] == added["sha256"]
    assert row["quantization"] == "F16"
    assert row["made_from"] == [{"location": f"file:{paths[0]}@{added['sha256']}"}]
    assert row["file_bytes"] == sum(path.stat().st_size for path in paths)
    paths[0].unlink()
    assert told.json("verify")["damaged"] == []


def test_what_is_no_model_is_not_copied(root: Path, told: Told, tmp_path: Path) -> None:
    (tmp_path / "odd.gguf").write_bytes(b"no model")
    assert "odd.gguf" in told("add", str(tmp_path / "odd.gguf"), status=1)
    assert not root.exists()
