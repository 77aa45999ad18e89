"""The name of a model file on a hub, checked before anything is asked of a network."""

import re
from dataclasses import dataclass

from odllm_agent.errors import UsageError
from odllm_agent.formats.split import first_name, part_names

_REPOSITORY = re.compile(r"(?!.*--)[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_FILE = re.compile(r"(?:\w[\w.+-]*/)*\w[\w.+-]*\.gguf", re.ASCII)
_REVISION = re.compile(r"\w[\w./-]{0,127}", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{40}")
_FORM = "write OWNER/REPOSITORY/FILE.gguf@REVISION, with the names that the repository's page shows"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A model file of a repository.

    Attributes:
        repository: `OWNER/NAME`.
        file: Its path in the repository; of a split model, that of the first part.
        revision: A commit, or a branch or tag, which may move.
    """

    repository: str
    file: str
    revision: str

    @classmethod
    def of(cls, location: str) -> "HubFile":
        """The file that a text of the form `OWNER/REPOSITORY/FILE@REVISION` names.

        Raises:
            UsageError: The text has another form, or a name in it has `..`, an absolute path, a
                drive, a backslash or characters that no such name has.
        """
        name, _, revision = location.partition("@")
        owner, repository, file = [*name.split("/", 2), "", ""][:3]
        wanted = cls(f"{owner}/{repository}", file, revision)
        _refuse_odd("repository", wanted.repository, _REPOSITORY)
        _refuse_odd("model file", wanted.file, _FILE)
        _refuse_odd("revision", wanted.revision, _REVISION)
        first = first_name(file)
        if first != file:
            raise UsageError(
                f"{file} is a later part of a split model", f"name the first part, {first}"
            )
        return wanted

    def __str__(self) -> str:
        return f"{self.repository}/{self.file}@{self.revision}"

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which can never be another one."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def parts(self) -> tuple[str, ...]:
        """The paths of all parts in the repository."""
        return part_names(self.file)


def _refuse_odd(what: str, name: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(name) or ".." in name:
        raise UsageError(f"{name[:200]!r} is no name of a {what} on a hub", _FORM)
