"""How an engine was built on a device, and what that build computes rightly there."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

PLAIN = "plain"
"""The code path that takes weights as they are in the file."""


class Outcome(StrEnum):
    """What came of computing on one code path."""

    RIGHT = "right"
    WRONG = "wrong"
    CRASHED = "crashed"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PathTest:
    """What came of computing with weights of one type on one code path.

    Attributes:
        type: The type of the weights by ggml's name, such as `Q4_K`.
        path: The code path by the engine's word: of llama.cpp `plain` or the layout that weights
            are brought into (`repack`, `amx`), of OpenVINO the form of the model.
        outcome: What came of it.
        detail: The signal that ended the process, how far off the values were, or what the engine
            said; empty where all was right.
    """

    type: str
    path: str
    outcome: Outcome
    detail: str = ""

    @classmethod
    def begun(cls, type_name: str, path: str) -> "PathTest":
        """What is said before it is tried; if nothing follows, it ended its process."""
        return cls(type_name, path, Outcome.CRASHED)

    @property
    def is_begun(self) -> bool:
        """Whether it was tried and nothing is known of how it ended."""
        return self == PathTest.begun(self.type, self.path)

    @property
    def told(self) -> str:
        """What came of it, in words."""
        return f"{self.kind} ({self.detail})" if self.detail else self.kind

    @property
    def kind(self) -> str:
        """The same without its detail, which may be another for each type."""
        return {
            Outcome.RIGHT: "computes rightly",
            Outcome.WRONG: "computes wrong values",
            Outcome.CRASHED: "crashes",
            Outcome.FAILED: "fails",
            Outcome.REFUSED: "is refused",
        }[self.outcome]


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """How an engine was built, and what was found when its build was tried on this processor.

    Attributes:
        system: What it says of itself: the processor features that it was compiled for.
        compiler: What compiled it, as its libraries say, or `""` where they do not.
        flags: The compiler's flags likewise.
        sha256: The checksum of its libraries.
        tests: What came of trying it, by type and code path; empty where it was not tried.
        untested: Why it was not tried, or `""`.
        passed_over: Code for more of this processor that does not work here, and why, a line each.
    """

    system: str
    compiler: str
    flags: str
    sha256: str
    tests: tuple[PathTest, ...] = ()
    untested: str = ""
    passed_over: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A short hash of how it was built; what was found of it does not count."""
        content = f"{self.system}\n{self.compiler}\n{self.flags}\n{self.sha256}"
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def faults(self) -> tuple[PathTest, ...]:
        """The tests that did not go well; what an engine refuses by name is no fault of it."""
        fine = (Outcome.RIGHT, Outcome.REFUSED)
        return tuple(each for each in self.tests if each.outcome not in fine)

    def fault(self, type_name: str, path: str) -> PathTest | None:
        """What is wrong with weights of a type on a code path, or `None`."""
        wanted = (type_name, path)
        return next((each for each in self.faults if (each.type, each.path) == wanted), None)

    def works(self, type_name: str) -> bool:
        """Whether weights of a type are computed rightly on some code path.

        What llama.cpp does not compute as it is in the file, it does not compute in every layer.
        """
        faulty = {each.path for each in self.faults if each.type == type_name}
        return PLAIN not in faulty and bool(self.paths(type_name) - faulty)

    def paths(self, type_name: str) -> frozenset[str]:
        """The code paths that were tried with weights of a type."""
        return frozenset(each.path for each in self.tests if each.type == type_name)
