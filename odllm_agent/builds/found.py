"""The engines' builds on this machine: looked at once, tried once, and kept.

All of it happens in child processes, because a library that was compiled wrongly, or for another
processor, ends the process that uses it. What was found is kept until the libraries, the processor
or its microcode change.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from odllm_agent.builds import libraries
from odllm_agent.builds.lines import EngineReport, as_option, heard, is_said
from odllm_agent.contract import (
    PLAIN,
    EngineBuild,
    Failure,
    Outcome,
    PathTest,
    from_json,
    to_json,
)
from odllm_agent.engines.fallback import Tried
from odllm_agent.engines.llama_cpp import variants
from odllm_agent.engines.settings import ENGINE_SETTINGS
from odllm_agent.errors import EngineError
from odllm_agent.files.folders import ROOT_VARIABLE, builds_root
from odllm_agent.host.processor import processor
from odllm_agent.host.state import logical_cores
from odllm_agent.processes import child

# Raised whenever what is tried changes, or what is chosen by it, so that it is tried again.
_EDITION = 2
_DEADLINE_S = 120.0
_FROM_OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"})
# What Python ends with when an exception ends it; a library that crashes ends it otherwise.
_EXCEPTION = 1
_TRIERS: Mapping[str, str] = {
    "llama_cpp": "odllm_agent.builds.llama_cpp",
    "openvino": "odllm_agent.builds.openvino",
}


@dataclass(frozen=True, slots=True)
class UsableEngine:
    """An engine that can be used here.

    Attributes:
        version: Its version.
        build: How it was built, and what of that works here.
        variant: The CPU backend that was tried, where there are several, or `""`.
    """

    version: str
    build: EngineBuild
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Builds:
    """The engines of this machine.

    Attributes:
        present: Those that can be used, by name.
        absent: Why the others cannot, by name.
    """

    present: Mapping[str, UsableEngine]
    absent: Mapping[str, EngineError]

    @property
    def tried(self) -> Tried:
        """What of them works here, for whoever chooses settings by it."""
        return Tried({name: found.build for name, found in self.present.items()}, logical_cores())


@dataclass(frozen=True, slots=True)
class _State:
    """What a finding holds for.

    Attributes:
        edition: Of what is tried.
        processor: Of this machine.
        threads: The most that an engine is tried with.
        files: Each library with its size and time.
        variant: The CPU backend that was asked for by name, or `""`.
        unsound: Types whose values cannot be compared.
    """

    edition: int
    processor: str
    threads: int
    files: tuple[str, ...]
    variant: str
    unsound: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What lies on the disk."""

    state: _State
    found: UsableEngine


def builds() -> Builds:
    """The engines of this machine; what is not known of them yet is tried now, for seconds."""
    present: dict[str, UsableEngine] = {}
    absent: dict[str, EngineError] = {}
    for name in _TRIERS:
        try:
            present[name] = _found(name, _unsound(present))
        except EngineError as error:
            absent[name] = error
    return Builds(present, absent)


def _unsound(present: Mapping[str, UsableEngine]) -> tuple[str, ...]:
    """The types that llama.cpp's plain code has wrong, which others cannot be compared with."""
    known = present.get("llama_cpp")
    faults = known.build.faults if known else ()
    return tuple(fault.type for fault in faults if fault.path == PLAIN)


def _found(engine: str, unsound: Sequence[str]) -> UsableEngine:
    """An engine that is installed.

    Raises:
        EngineError: It is not, or cannot be loaded.
    """
    paths = libraries.libraries(engine)
    # Without libraries the engine itself says best what is missing.
    asked_for = os.environ.get(variants.VARIABLE, "")
    if engine == "llama_cpp" and Path(asked_for).is_file():
        paths = tuple(dict.fromkeys((*paths, Path(asked_for))))
    state = _State(
        _EDITION, processor(), logical_cores(), tuple(map(_file, paths)), asked_for, tuple(unsound)
    )
    path = builds_root() / f"{engine}-{state.threads}-threads.json"
    known = _remembered.get((path, state)) or _kept(path, state)
    if known is None:
        with _alone(path):
            # Another process may have found it out meanwhile.
            known = _kept(path, state) or _looked_at(engine, paths, state)
            # What could not be tried, for want of room or the like, is tried the next time.
            if not known.build.untested:
                with contextlib.suppress(OSError):
                    path.write_text(to_json(_Kept(state, known)))
    if not known.build.untested:
        _remembered[path, state] = known
    if known.variant:
        # Whatever this process starts from now on computes with what was tried.
        os.environ[variants.FOUND_VARIABLE] = known.variant
    return known


# Where nothing can be written, nothing is tried twice by one process all the same.
_remembered: dict[tuple[Path, _State], UsableEngine] = {}


def _looked_at(engine: str, paths: Sequence[Path], state: _State) -> UsableEngine:
    told = _told(engine, {})
    if not told.variants:
        return _tried(engine, told, paths, state, {})
    backends = [state.variant] if state.variant else told.variants
    return _best_variant(engine, backends, paths, state)


def _best_variant(
    engine: str, backends: Sequence[str], paths: Sequence[Path], state: _State
) -> UsableEngine:
    """The variant of which most works, those for newer processors first; it is loaded from now."""
    tried: dict[str, UsableEngine] = {}
    wrong: dict[str, str] = {}
    for variant in backends:
        chosen = {variants.VARIABLE: variant}
        try:
            found = _tried(engine, _told(engine, chosen), paths, state, chosen)
        except EngineError as error:
            wrong[variant] = error.message
            continue
        tried[variant] = replace(found, variant=variant)
        if not found.build.faults:
            break
        wrong[variant] = _wrong(found.build)
    if not tried:
        raise _unusable(engine, "each of its variants did")
    best = max(tried.values(), key=lambda found: _worth(found.build))
    if not state.variant:
        with contextlib.suppress(OSError):
            variants.choose(Path(best.variant))
    before = backends[: backends.index(best.variant)]
    passed_over = tuple(f"{Path(variant).stem}: {wrong[variant]}" for variant in before)
    return replace(best, build=replace(best.build, passed_over=passed_over))


def _worth(build: EngineBuild) -> tuple[int, int, int]:
    """By what one variant is better than another, the weightiest first.

    A variant for an older processor may be without a fault because it has no layouts of its own,
    and is slower at every type: what it would lose counts before what it would mend.
    """
    types = {test.type for test in build.tests}
    laid_out = {
        test.type
        for test in build.tests
        if test.path != PLAIN and test.outcome is Outcome.RIGHT and build.works(test.type)
    }
    return sum(map(build.works, types)), len(laid_out), -len(build.faults)


def _wrong(build: EngineBuild) -> str:
    """What does not work of a build, the types of one code path together."""
    types: dict[str, list[str]] = {}
    for fault in build.faults:
        types.setdefault(f"its {fault.path} path {fault.kind}", []).append(fault.type)
    return "; ".join(f"{kind} with {', '.join(each)}" for kind, each in types.items())


def _told(engine: str, chosen: Mapping[str, str]) -> EngineReport:
    """What an engine says of itself.

    Raises:
        EngineError: It cannot be loaded.
    """
    status, log = _run("odllm_agent.builds.inspection", chosen, engine)
    for failure in heard(Failure, log):
        raise EngineError(failure.message, failure.remedy)
    for told in heard(EngineReport, log):
        return told
    raise _unusable(engine, _ended(status))


def _unusable(engine: str, how: str) -> EngineError:
    return EngineError(
        f"the engine {engine} is installed and ends the process that loads it ({how}): it was "
        "most likely compiled for another processor",
        f"compile it anew: {ENGINE_SETTINGS[engine].install} --force-reinstall --no-cache-dir",
    )


def _tried(
    engine: str, told: EngineReport, paths: Sequence[Path], state: _State, chosen: Mapping[str, str]
) -> UsableEngine:
    with _cache_of_its_own() as cache:
        tests, untested = _tests(engine, state, {**chosen, **cache})
    build = EngineBuild(
        system=told.system,
        compiler=libraries.compiler(paths),
        flags=libraries.flags(paths),
        sha256=libraries.checksum(paths),
        tests=tests,
        untested=untested,
    )
    return UsableEngine(told.version, build)


@contextlib.contextmanager
def _cache_of_its_own() -> Iterator[Mapping[str, str]]:
    """What sends the models that are tried elsewhere than among those that the user asked for.

    Where no temporary folder can be made they go there all the same.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="odllm-build-", ignore_cleanup_errors=True)
    except OSError:
        yield {}
        return
    with folder as cache:
        yield {ROOT_VARIABLE: cache}


def _tests(
    engine: str, state: _State, chosen: Mapping[str, str]
) -> tuple[tuple[PathTest, ...], str]:
    """What came of each type and code path; a crash costs one of them and a new process."""
    tests: dict[tuple[str, str], PathTest] = {}
    asked = [f"--threads={state.threads}", *(f"--unsound={each}" for each in state.unsound)]
    while True:
        status, log = _run(_TRIERS[engine], chosen, *asked, *map(as_option, tests.values()))
        said = {(each.type, each.path): each for each in heard(PathTest, log)}
        tests |= said
        begun = [key for key, each in tests.items() if each.is_begun]
        failed = next(heard(Failure, log), None)
        # Somebody else may end the process, such as the system for want of memory.
        from_outside = status is not None and child.death(status) in _FROM_OUTSIDE
        if status in {0, _EXCEPTION} or not begun or from_outside:
            for key in begun:
                del tests[key]
            return tuple(tests.values()), _why_untested(failed, status, log)
        if status is None and len(said) > 1:
            # A slow machine got on and ran out of time: the one that it was at is begun once more.
            del tests[begun[-1]]
        else:
            tests[begun[-1]] = replace(tests[begun[-1]], detail=_ended(status))


def _why_untested(failed: Failure | None, status: int | None, log: Sequence[str]) -> str:
    """Why a build could not be tried whole, or `""`."""
    if failed:
        return f"it could not be tried: {failed.message}"
    words = [line for line in log if not is_said(line)]
    last = f": {words[-1]}" if words else ""
    how = f"was ended by {_ended(status)}" if status and status < 0 else _ended(status)
    return "" if status == 0 else f"as it was tried, its process {how}{last}"


def _ended(status: int | None) -> str:
    if status is None:
        return f"had not ended after {_DEADLINE_S:.0f} s"
    return child.death(status) or f"ended with status {status}"


def _run(
    module: str, variables: Mapping[str, str], *arguments: str
) -> tuple[int | None, list[str]]:
    return child.run([sys.executable, "-m", module, *arguments], _DEADLINE_S, variables)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process at a time find out; where nothing can be written, nothing is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock")).acquire()
    except OSError:
        yield
        return
    with lock:
        yield


def _kept(path: Path, state: _State) -> UsableEngine | None:
    try:
        kept = from_json(_Kept, path.read_bytes())
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return kept.found if kept.state == state else None


def _file(path: Path) -> str:
    found = path.stat()
    return f"{path} {found.st_size} {found.st_mtime_ns}"
