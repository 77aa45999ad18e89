"""Folders of small files, such as those by which Linux tells its state."""

from pathlib import Path


def write(root: Path, **files: str) -> Path:
    """A directory of small files; `__` in a name is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


SPOILT = ("gone", "folder", "looped", "unreadable", "", "\n", "\xff\xfe\x00")
"""Ways in which a small file does not tell what it should; see `spoil`."""


def spoil(path: Path, how: str) -> None:
    """Puts something in a small file's place that does not tell what it did.

    Args:
        path: The file.
        how: A word of `SPOILT`, or what the file is to hold.
    """
    path.unlink(missing_ok=True)
    match how:
        case "gone":
            pass
        case "folder":
            path.mkdir()
        case "looped":
            path.symlink_to(path)
        case "unreadable":
            # Nobody may read where nothing is mapped: an error of input, even for root.
            path.symlink_to("/proc/self/mem")
        case _:
            path.write_bytes(how.encode("latin-1"))
