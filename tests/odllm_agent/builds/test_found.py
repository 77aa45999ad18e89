"""The engines' builds: looked at and tried in child processes, and kept."""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from odllm_agent import builds
from odllm_agent.builds import found
from odllm_agent.builds.lines import EngineReport, heard
from odllm_agent.contract import PLAIN, EngineBuild, Failure, Outcome, PathTest, to_json
from odllm_agent.engines.llama_cpp import variants
from odllm_agent.files.folders import ROOT_VARIABLE
from odllm_agent.processes import child
from tests.shim import struck


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which nothing is known yet."""
    monkeypatch.setenv("ODLLM_BUILDS_DIR", str(tmp_path / "builds"))
    monkeypatch.setattr(found, "_remembered", {})
    monkeypatch.delenv(variants.FOUND_VARIABLE, raising=False)
    return tmp_path / "builds"


@pytest.fixture
def only_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "_TRIERS", {"llama_cpp": "odllm_agent.builds.llama_cpp"})


def llama_cpp() -> EngineBuild:
    return builds.builds().present["llama_cpp"].build


def told(monkeypatch: pytest.MonkeyPatch, *starts: tuple[int | None, Sequence[PathTest]]) -> None:
    """Lets each process that tries the engine end with a status and what it has said."""
    left = list(starts)

    def run(module: str, *_: object) -> tuple[int | None, list[str]]:
        if module.endswith("inspection"):
            return 0, [_said(EngineReport("0.3.36", "CPU"))]
        status, said = left.pop(0)
        return status, list(map(_said, said))

    monkeypatch.setattr(found, "_run", run)


@pytest.mark.usefixtures("only_llama_cpp")
def test_every_type_is_tried_as_it_is_in_the_file_and_all_of_this_build_is_right(
    root: Path,
) -> None:
    build = llama_cpp()
    assert build.untested == ""
    assert build.faults == ()
    assert {each.type for each in build.tests if each.path == PLAIN} >= {"F16", "Q4_0", "Q6_K"}
    assert len(build.id) == 12
    assert build.sha256
    assert len(list(root.glob("llama_cpp-*.json"))) == 1


@pytest.mark.usefixtures("root", "only_llama_cpp")
def test_what_was_found_is_kept_until_the_libraries_or_the_processor_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = llama_cpp()
    (kept,) = root.glob("llama_cpp-*.json")
    written = json.loads(kept.read_text())
    written["found"]["build"]["system"] = "kept"
    kept.write_text(json.dumps(written))
    found._remembered.clear()
    assert llama_cpp().system == "kept"
    monkeypatch.setattr(found, "processor", lambda: "another processor")
    assert llama_cpp() == first


@pytest.mark.usefixtures("only_llama_cpp")
def test_a_file_that_was_damaged_is_found_out_anew(root: Path) -> None:
    first = llama_cpp()
    (kept,) = root.glob("llama_cpp-*.json")
    kept.write_text("{")
    found._remembered.clear()
    assert llama_cpp() == first


@pytest.mark.usefixtures("root", "only_llama_cpp")
@pytest.mark.parametrize(
    ("how", "outcome", "detail"),
    [("crash", Outcome.CRASHED, "SIGSEGV"), ("wrong", Outcome.WRONG, "of the squared values")],
)
def test_a_type_that_crashes_or_comes_out_wrong_is_told_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, outcome: Outcome, detail: str
) -> None:
    for name, value in struck(tmp_path, "Q5_0", PLAIN, how).items():
        monkeypatch.setenv(name, value)
    build = llama_cpp()
    (fault,) = build.faults
    assert (fault.type, fault.path, fault.outcome) == ("Q5_0", PLAIN, outcome)
    assert detail in fault.detail
    assert build.untested == ""
    assert build.fault("Q4_0", PLAIN) is None
    assert PLAIN in build.paths("Q8_0")


@pytest.mark.usefixtures("root")
def test_an_engine_that_ends_the_process_that_loads_it_is_absent_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    died = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    monkeypatch.setattr(found, "_run", lambda *_: child.run([sys.executable, "-c", died], 60))
    absent = builds.builds().absent
    assert set(absent) == {"llama_cpp", "openvino"}
    assert "SIGILL" in absent["llama_cpp"].message
    assert "compiled for another processor" in absent["llama_cpp"].message
    assert "--no-cache-dir" in absent["llama_cpp"].remedy


@pytest.mark.usefixtures("root", "only_llama_cpp")
def test_a_process_that_ends_before_anything_is_tried_leaves_the_build_untested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(found, "_TRIERS", {"llama_cpp": "no.such.module"})
    build = llama_cpp()
    assert build.tests == ()
    assert "status 1" in build.untested


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("has_room", [True, False])
def test_the_models_that_are_tried_are_not_among_those_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_room: bool
) -> None:
    caches: dict[str, str | None] = {}

    def run(module: str, variables: Mapping[str, str], *_: str) -> tuple[int | None, list[str]]:
        if module.endswith("inspection"):
            return 0, [_said(EngineReport("1", "CPU"))]
        caches[module] = variables.get(ROOT_VARIABLE)
        assert Path(variables.get(ROOT_VARIABLE, tmp_path)).is_dir()
        return 0, []

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(found, "_run", run)
    if not has_room:
        monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    builds.builds()
    assert len(caches) == 2
    for folder in caches.values():
        assert (folder is not None) == has_room
        assert folder is None or not Path(folder).exists()


def offer(
    monkeypatch: pytest.MonkeyPatch, tests: Mapping[str, Sequence[PathTest]]
) -> Callable[[], set[str]]:
    """An engine with several variants and what comes of trying each; gives those asked so far."""
    asked = set()

    def run(
        module: str, variables: dict[str, str], *arguments: str
    ) -> tuple[int | None, list[str]]:
        variant = variables.get(variants.VARIABLE, "")
        asked.add(variant)
        if module.endswith("inspection"):
            return 0, [_said(EngineReport("0.3.36", f"CPU {variant}", tuple(tests)))]
        return 0, list(map(_said, tests[variant]))

    monkeypatch.setattr(found, "_run", run)
    return lambda: asked - {""}


def came_of(outcome: Outcome, path: str, *types: str) -> list[PathTest]:
    return [PathTest(kind, path, outcome, "so it was") for kind in types]


ALL_PLAIN = came_of(Outcome.RIGHT, PLAIN, "F16", "Q4_0", "Q8_0")


@pytest.mark.usefixtures("root", "only_llama_cpp")
def test_of_several_variants_the_first_without_a_fault_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = came_of(Outcome.WRONG, PLAIN, "Q4_0", "Q8_0")
    asked = offer(
        monkeypatch, {"best": ALL_PLAIN[:1] + wrong, "second": ALL_PLAIN, "third": ALL_PLAIN}
    )
    build = llama_cpp()
    assert build.system == "CPU second"
    assert asked() == {"best", "second"}
    assert build.passed_over == ("best: its plain path computes wrong values with Q4_0, Q8_0",)
    # Whatever is started from here on computes with what was tried.
    assert os.environ[variants.FOUND_VARIABLE] == "second"


@pytest.mark.usefixtures("root", "only_llama_cpp")
@pytest.mark.parametrize(
    ("best", "second", "oldest", "chosen"),
    [
        # One layout is lost in both newer ones; the oldest has none to lose.
        ([("amx", "F16")], [("repack", "Q8_0")], [], "best"),
        ([("amx", "F16")], [("repack", "F16"), ("repack", "Q8_0")], [], "second"),
        # A type that works in no way at all weighs more than any layout.
        ([("amx", "F16"), ("plain", "")], [("repack", "Q8_0")], [], "second"),
        ([("amx", "F16"), ("plain", "")], [("repack", "Q8_0"), ("plain", "")], [], "oldest"),
    ],
)
def test_a_variant_with_a_fault_is_left_only_for_one_of_which_more_works(
    monkeypatch: pytest.MonkeyPatch,
    best: Sequence[tuple[str, str]],
    second: Sequence[tuple[str, str]],
    oldest: Sequence[tuple[str, str]],
    chosen: str,
) -> None:
    def of(right: Sequence[tuple[str, str]], *, is_old: bool = False) -> list[PathTest]:
        broken = came_of(Outcome.CRASHED, PLAIN, "Q8_0") if (PLAIN, "") in right else []
        lost = [] if is_old else came_of(Outcome.CRASHED, "repack", "Q4_0")
        laid_out = [PathTest(kind, path, Outcome.RIGHT) for path, kind in right if kind]
        plain = [each for each in ALL_PLAIN if not (broken and each.type == "Q8_0")]
        return [*plain, *broken, *lost, *laid_out]

    offer(
        monkeypatch,
        {"best": of(best), "second": of(second), "oldest": of(oldest, is_old=True)},
    )
    build = llama_cpp()
    assert build.system == f"CPU {chosen}"
    passed_over = [each.partition(":")[0] for each in build.passed_over]
    assert passed_over == ["best", "second", "oldest"][: ["best", "second", "oldest"].index(chosen)]


@pytest.mark.usefixtures("only_llama_cpp")
def test_a_process_that_somebody_ended_speaks_against_nothing_and_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(module: str, *_: object) -> tuple[int | None, list[str]]:
        if module.endswith("inspection"):
            return 0, [_said(EngineReport("0.3.36", "CPU"))]
        return -signal.SIGKILL, [_said(PathTest.begun("Q4_0", PLAIN))]

    monkeypatch.setattr(found, "_run", run)
    build = llama_cpp()
    assert (build.tests, build.faults) == ((), ())
    assert build.untested == "as it was tried, its process was ended by SIGKILL"
    assert list(root.glob("*.json")) == []


@pytest.mark.usefixtures("only_llama_cpp")
def test_what_could_not_be_tried_is_told_not_blamed_and_tried_the_next_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Failure("DiskFull", "there is no room in the cache")
    said = [PathTest("F16", PLAIN, Outcome.RIGHT), PathTest.begun("Q4_0", PLAIN), full]

    def run(module: str, *_: object) -> tuple[int | None, list[str]]:
        told = [EngineReport("0.3.36", "CPU")] if module.endswith("inspection") else said
        return 0, list(map(_said, told))

    monkeypatch.setattr(found, "_run", run)
    build = llama_cpp()
    assert build.untested == "it could not be tried: there is no room in the cache"
    assert [each.type for each in build.tests] == ["F16"]
    assert build.faults == ()
    assert list(root.glob("*.json")) == []


@pytest.mark.usefixtures("root", "only_llama_cpp")
def test_a_type_at_which_a_slow_machine_ran_out_of_time_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = [PathTest(kind, PLAIN, Outcome.RIGHT) for kind in ("F16", "Q4_0")]
    told(monkeypatch, (None, [right[0], PathTest.begun("Q4_0", PLAIN)]), (0, [right[1]]))

    assert llama_cpp().tests == tuple(right)


@pytest.mark.usefixtures("root", "only_llama_cpp")
def test_a_type_that_does_not_end_in_a_process_of_its_own_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = PathTest("F16", PLAIN, Outcome.RIGHT)
    told(monkeypatch, (None, [PathTest.begun("Q4_0", PLAIN)]), (0, [right]))

    (fault,) = llama_cpp().faults
    assert (fault.type, fault.outcome) == ("Q4_0", Outcome.CRASHED)
    assert "not ended after" in fault.detail


def test_lines_of_a_library_and_a_line_that_was_cut_off_are_left_out() -> None:
    whole = PathTest("Q4_0", PLAIN, Outcome.RIGHT)
    log = [
        "repack: repack tensor with q4_0_8x8",
        'odllm: {"detail":"","outcome":"right","path":"plain","type":"Q4_0"}',
        'odllm: {"detail":"","outc',
    ]
    assert list(heard(PathTest, log)) == [whole]


def _said(value: object) -> str:
    return f"odllm: {to_json(value)}"
