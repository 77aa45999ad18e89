"""What is asked of a hub, through its own client.

The client reads `HF_ENDPOINT`, `HF_TOKEN` and its other variables by itself.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from odllm_agent.models.download import transfer  # isort: skip - sets the client up before it is imported

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from odllm_agent.cache.cache import RemoteFile, Tell
from odllm_agent.errors import AccessDenied, DownloadFailed, ModelError, ModelMissing
from odllm_agent.models.download.hub_file import HubFile

_SHA256 = re.compile("[0-9a-f]{64}")
_NAMES_SHOWN = 12
_GET_ACCESS = "get access on its page, then set HF_TOKEN to a token of that account"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a hub says of a model.

    Attributes:
        at: The file, with the commit that its revision stands for.
        files: All files of the model, in the order of its parts.
    """

    at: HubFile
    files: tuple[RemoteFile, ...]


def resolve(wanted: HubFile) -> Resolved:
    """Asks which commit a revision stands for, and what is stored there.

    Raises:
        ModelMissing: There is no such repository, revision or file, or it can't be looked for.
        AccessDenied: The hub does not tell whoever asks.
        DownloadFailed: The hub cannot be reached, or does not answer as one.
    """
    commit, first = _described(wanted, wanted.file)
    at = replace(wanted, revision=commit)
    others = (_described(at, part)[1] for part in wanted.parts[1:])
    return Resolved(at, (first, *others))


def fetch(source: HubFile, file: RemoteFile, target: Path, tell: Tell) -> None:
    """Fetches what is missing of a file.

    Args:
        source: The model that the file belongs to, at a commit.
        file: The file.
        target: Where it goes; what is there already is taken for its start.
        tell: Is told how far it is.

    Raises:
        AccessDenied: The hub does not give it to whoever asks.
        DownloadFailed: Not all of it came; what did come stays.
        OSError: The target cannot be written.
    """
    if file.file_bytes > constants.MAX_HTTP_DOWNLOAD_SIZE:
        raise DownloadFailed(
            f"{source.repository}/{file.name} has {file.file_bytes:,} bytes, and a hub gives no "
            f"more than {constants.MAX_HTTP_DOWNLOAD_SIZE:,} in one file",
            "name a repository that holds the model in parts, or fetch it by hand with `hf "
            "download` and name it as a file of this device",
        )
    with _errors_told(source, file.name):
        transfer.fetch(_url(source, file.name), file, target, tell)


def fetch_start(source: HubFile, file: RemoteFile, target: Path, most_bytes: int) -> None:
    """Fetches the start of a file into one of its size, the rest of which is a hole.

    Args:
        source: The model that the file belongs to, at a commit.
        file: The file.
        target: Where it goes; written anew.
        most_bytes: How much of it is fetched.

    Raises:
        AccessDenied: The hub does not give it to whoever asks.
        DownloadFailed: It did not come.
        OSError: The target cannot be written.
    """
    with _errors_told(source, file.name):
        transfer.fetch_start(_url(source, file.name), file, target, most_bytes)


def _described(source: HubFile, name: str) -> tuple[str, RemoteFile]:
    """The commit that a revision stands for, and the file of that name at it."""
    with _errors_told(source, name):
        found = get_hf_file_metadata(
            _url(source, name), headers=transfer.headers(), retry_on_errors=True
        )
    at = replace(source, revision=found.commit_hash or "")
    if not at.pinned or found.etag is None or found.size is None:
        raise _no_hub(source)
    if not _SHA256.fullmatch(found.etag):
        raise DownloadFailed(
            f"the hub states no SHA-256 for {source.repository}/{name}, so it could not be checked",
            "fetch it by hand, and name it as a file of this device",
        )
    return at.revision, RemoteFile(name, found.etag, found.size)


def _url(source: HubFile, name: str) -> str:
    return hf_hub_url(source.repository, name, revision=source.revision)


@contextmanager
def _errors_told(source: HubFile, name: str) -> Iterator[None]:
    """Turns what the client raises into errors of ours that name the culprit and the remedy."""
    reach = f"look whether the network is there and HF_ENDPOINT is right; then {transfer.AGAIN}"
    with transfer.breaks_told(f"{source.repository}/{name}", constants.ENDPOINT, reach):
        try:
            yield
        except HfHubHTTPError as error:
            raise _refused(source, name, error) from error
        except OfflineModeIsEnabled as error:
            raise ModelMissing(
                f"{source} is not in this device's cache, and HF_HUB_OFFLINE is set",
                "unset HF_HUB_OFFLINE, or fetch the model while there is a network",
            ) from error
        except FileMetadataError as error:
            raise _no_hub(source) from error


def _refused(source: HubFile, name: str, error: HfHubHTTPError) -> ModelError:
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return AccessDenied(
            f"the repository {source.repository} asks for consent first", _GET_ACCESS
        )
    if missing := _missing(source, name, error):
        return missing
    if status in {401, 403}:
        return AccessDenied(
            f"the hub refuses {source.repository}/{name} (status {status})", _GET_ACCESS
        )
    busy = "was asked too often" if status == 429 else "fails"
    return DownloadFailed(
        f"{source.repository}/{name} could not be fetched: the hub {busy} (status {status})",
        f"wait some minutes (a hub allows more to those who set HF_TOKEN), then {transfer.AGAIN}",
    )


def _missing(source: HubFile, name: str, error: HfHubHTTPError) -> ModelMissing | None:
    """What the hub says is not there, if that is the error."""
    if isinstance(error, RepositoryNotFoundError):
        return ModelMissing(
            f"there is no repository {source.repository} on {constants.ENDPOINT}, or it is private",
            "check its name; for a private one set HF_TOKEN",
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelMissing(
            f"the repository {source.repository} has no revision {source.revision!r}",
            "name a commit that the page of its history shows, or `main`",
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return ModelMissing(
            f"the repository {source.repository} has no file {name} at {source.revision}",
            _names_remedy(source),
        )
    return None


def _names_remedy(source: HubFile) -> str:
    """What the model files of a repository are, if it tells."""
    try:
        names = HfApi().list_repo_files(source.repository, revision=source.revision)
    except (httpx2.HTTPError, OSError, ValueError):
        names = []
    models = sorted(name for name in names if name.endswith(".gguf"))
    if not models:
        return "name one of the .gguf files that its page shows"
    more = f" and {len(models) - _NAMES_SHOWN} more" if len(models) > _NAMES_SHOWN else ""
    return f"it has {', '.join(models[:_NAMES_SHOWN])}{more}"


def _no_hub(source: HubFile) -> DownloadFailed:
    return DownloadFailed(
        f"{constants.ENDPOINT} does not answer as a hub when asked for {source}",
        "correct HF_ENDPOINT, or look for a proxy or firewall that answers in its place",
    )
