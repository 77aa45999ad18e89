"""The test part of WikiText-2, raw, as llama.cpp's own measurements use it.

It comes as the archive that llama.cpp's scripts fetch, because that needs no reader of another
format, and because figures can then be laid beside published ones: they rest on the same bytes.
"""

import zipfile

from odllm_agent.errors import DataMissing

REPOSITORY = "ggml-org/ci"
ARCHIVE = "wikitext-2-raw-v1.zip"
MEMBER = "wikitext-2-raw/wiki.test.raw"
_REMEDY = (
    "connect the device to the hub, or set HF_ENDPOINT to a mirror; or fetch the file elsewhere "
    "and name its path in quality.text"
)


def test_text() -> str:
    """The text, fetched from the hub once and kept in the hub's own cache on this device.

    Raises:
        DataMissing: It cannot be fetched, or is not what it should be.
    """
    archive = _archive()
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(MEMBER).decode("utf-8")
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise DataMissing(
            f"{archive} holds no {MEMBER}: {error}",
            "remove it, so that it is fetched again",
        ) from error


def _archive() -> str:
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - only for who asks for it
        from huggingface_hub.errors import (  # type: ignore[attr-defined] # noqa: PLC0415
            HTTPError,
            LocalEntryNotFoundError,
        )
    except ImportError as error:
        raise DataMissing(
            "WikiText-2 comes from the hub, and huggingface_hub is not installed on this device",
            "pip install huggingface_hub",
        ) from error
    try:
        return hf_hub_download(REPOSITORY, ARCHIVE, repo_type="dataset", local_files_only=True)
    except LocalEntryNotFoundError:
        pass
    try:
        return hf_hub_download(REPOSITORY, ARCHIVE, repo_type="dataset")
    except (HTTPError, OSError, ValueError) as error:
        raise DataMissing(
            f"WikiText-2 cannot be fetched ({REPOSITORY}, {ARCHIVE}): {error}", _REMEDY
        ) from error
