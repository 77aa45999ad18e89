"""What became of the files of a model since their checksum was taken."""

from pathlib import Path

from odllm_agent.contract import FileState, Format, ModelFile
from odllm_agent.errors import ModelChanged
from odllm_agent.files.checksum import sha256_of, state
from odllm_agent.formats.ir import counted_files


def refuse_changed(model: ModelFile) -> None:
    """Makes sure that what lies on the disk is what was described.

    What tells one state of a file from another costs nothing to compare. Where it differs the bytes
    are in doubt, no more: a file may have been touched or copied back, and on some file systems of
    a network its number does not last. They are read again then, once per state.

    Args:
        model: The model; one that does not tell the states of its files is not looked at.

    Raises:
        ModelChanged: A file has other bytes, is gone or cannot be read, or there is one more.
    """
    for file in model.files:
        became = _became(file)
        if became:
            raise _changed(f"{file.path} {became}")
    if model.files and model.format is Format.OPENVINO_IR:
        # A file that was not there before, such as a tokenizer, may change what is computed.
        known = {Path(file.path).name for file in model.files}
        added = [path for path in counted_files(Path(model.path)) if path.name not in known]
        if added:
            raise _changed(f"{added[0]} was added")


def _became(was: FileState) -> str:
    """What became of a file, or `""` if its bytes are the same."""
    path = Path(was.path)
    try:
        found = state(path, was.sha256)
        same = found == was or (
            found.file_bytes == was.file_bytes
            # A pipe in the file's place would be waited for.
            and path.is_file()
            and sha256_of(path) == was.sha256
        )
    except (FileNotFoundError, NotADirectoryError):
        return "was removed"
    except OSError as error:
        return f"cannot be read any more ({error.strerror})"
    return "" if same else _told(was, found)


def _told(was: FileState, found: FileState) -> str:
    resized = found.file_bytes != was.file_bytes
    sizes = f" ({was.file_bytes:,} bytes before, {found.file_bytes:,} now)" if resized else ""
    # A file system may give the number of a file that was removed to the next one.
    other = (found.device, found.inode) != (was.device, was.inode)
    if other or not Path(was.path).is_file():
        return f"was replaced by another file{sizes}"
    if found.file_bytes < was.file_bytes:
        return f"became shorter{sizes}"
    return f"was changed in place{sizes}"


def _changed(what: str) -> ModelChanged:
    return ModelChanged(
        f"{what} since the model's checksum was taken",
        "nothing of this attempt counts; leave model files alone while a run goes on. Put the file "
        "back, or run the command again for what lies there by then",
    )
