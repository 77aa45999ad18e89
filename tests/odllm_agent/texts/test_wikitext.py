"""Fetching WikiText-2 with the hub's real client; only the server is the tests' own."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from odllm_agent.texts.wikitext import ARCHIVE, MEMBER, REPOSITORY
from tests.odllm_agent.quality.hub_server import serving

PATH = f"/datasets/{REPOSITORY}/resolve/main/{ARCHIVE}"
TEXT = b" = Robert <unk> = \n Some words . \n"
NOWHERE = "http://127.0.0.1:9"
CODE = """
from odllm_agent.errors import OdllmError
from odllm_agent.texts.text import text_sha256
try:
    print(text_sha256("wikitext-2"))
except OdllmError as error:
    print(type(error).__name__, error)
"""


def archive(member: str = MEMBER) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr(member, TEXT)
    return content.getvalue()


def fetched(endpoint: str, home: Path, **environment: str) -> str:
    """What a process of its own says, since the client reads its environment when imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_it_is_fetched_once_and_then_needs_no_hub(tmp_path: Path) -> None:
    wanted = hashlib.sha256(TEXT).hexdigest()
    with serving({PATH: archive()}) as endpoint:
        assert fetched(endpoint, tmp_path) == wanted
    assert fetched(NOWHERE, tmp_path) == wanted


def test_without_the_hub_the_remedy_is_told(tmp_path: Path) -> None:
    for told in (
        fetched(NOWHERE, tmp_path, HF_HUB_OFFLINE="1"),
        fetched(NOWHERE, tmp_path),
    ):
        assert told.startswith("DataMissing WikiText-2 cannot be fetched")
        assert "HF_ENDPOINT" in told
        assert "quality.text" in told


def test_a_hub_that_has_no_such_file_is_told(tmp_path: Path) -> None:
    with serving({}) as endpoint:
        assert fetched(endpoint, tmp_path).startswith("DataMissing WikiText-2 cannot be fetched")


def test_an_archive_without_the_text_is_named(tmp_path: Path) -> None:
    with serving({PATH: archive("other.txt")}) as endpoint:
        told = fetched(endpoint, tmp_path)
    assert told.startswith("DataMissing")
    assert f"holds no {MEMBER}" in told
    with serving({PATH: b"no archive"}) as endpoint:
        assert "holds no" in fetched(endpoint, tmp_path / "other")
