"""The name of a model file inside Python packages, checked before anything is asked of an index."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.contract.model import PINNED_PACKAGE
from odllm_agent.errors import UsageError

_PACKAGE = re.compile(PINNED_PACKAGE)
_FILE = re.compile(r"(?:\w[\w.+-]*/)*\w[\w.+-]*\.gguf", re.ASCII)
_PIECE = re.compile(r"(?P<file>.*\.gguf)(?:\.(?:part|chunk)?[_-]?\d+)?", re.DOTALL | re.ASCII)
_FORM = "write NAME==VERSION, of a file that was cut NAME==VERSION,NAME==VERSION in its order"


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A model file that one package holds, or several hold in pieces.

    Attributes:
        packages: Each as `NAME==VERSION`, in the order in which their pieces are joined.
        file: The end of the file's path in them, without what tells pieces apart; `""` where they
            hold one only.
    """

    packages: tuple[str, ...]
    file: str = ""

    @classmethod
    def of(cls, location: str) -> "PackagedFile":
        """The file that a text of the form `NAME==VERSION,NAME==VERSION/FILE` names.

        Raises:
            UsageError: The text has another form, names a package twice, or a name in it has `..`,
                an absolute path, a backslash or characters that no such name has.
        """
        packages, slash, file = location.partition("/")
        names = packages.split(",")
        for name in names:
            if not _PACKAGE.fullmatch(name):
                raise UsageError(f"{name[:200]!r} is no package at a version", _FORM)
        if slash and (not _FILE.fullmatch(file) or ".." in file):
            raise UsageError(
                f"{file[:200]!r} is no name of a model file in a package",
                "write the name of a .gguf file, or leave it out where the packages hold one only",
            )
        return cls(_distinct([_normal(name) for name in names]), file)

    def __str__(self) -> str:
        return ",".join(self.packages) + (f"/{self.file}" if self.file else "")

    @property
    def name(self) -> str:
        """What the file is called here, whatever the packages call it."""
        return f"{self.packages[0].partition('==')[0]}.gguf"

    def is_at(self, path: str) -> bool:
        """Whether a path in a package is that of the file, or of a piece of it."""
        whole = _PIECE.fullmatch(path)
        if whole is None or not self.file:
            return whole is not None
        return f"/{whole['file']}".endswith(f"/{self.file}")


def is_model(path: str) -> bool:
    """Whether a path in a package is that of a model file, or of a piece of one."""
    return _PIECE.fullmatch(path) is not None


def _normal(package: str) -> str:
    """A package as every index knows it: pip takes `A_b`, `a.b` and `a-b` for one name."""
    name, _, version = package.partition("==")
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version}"


def _distinct(packages: Sequence[str]) -> tuple[str, ...]:
    for package in packages:
        if packages.count(package) > 1:
            raise UsageError(
                f"the package {package} is named twice", "name each once, in the order of its piece"
            )
    return tuple(packages)
