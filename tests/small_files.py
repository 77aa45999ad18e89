"""Folders of small files, such as those by which Linux tells its state."""

from pathlib import Path


def write(root: Path, **files: str) -> Path:
    """A directory of small files; `__` in a name is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
