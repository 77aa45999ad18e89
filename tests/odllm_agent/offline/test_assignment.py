"""What a device shall do, from the file that says so."""

import dataclasses
import json
from pathlib import Path

import pytest

from odllm_agent.contract import CeilingKey, Exam, ModelRequest, Quantization, Source, to_json
from odllm_agent.errors import UsageError
from odllm_agent.offline import assignment
from odllm_agent.offline.assignment import FORMAT, Assignment
from tests import support

REQUEST = ModelRequest("tiny", Source.FILE, "/models/tiny.gguf", Quantization("Q4_0"))
WHOLE = support.assignment(
    REQUEST,
    skips=(support.skip(),),
    reading=support.quality_check().reading,
    exams=(Exam("digits", "", 10),),
    known_ceilings=(CeilingKey("id", "llama_cpp", "1", 2, "read"),),
)


def test_an_assignment_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    path.write_text(to_json(WHOLE))
    asked, sha256 = assignment.read(path)
    assert asked == WHOLE
    path.write_text(to_json(dataclasses.replace(WHOLE, rounds=3, rounds_at_most=3)))
    assert assignment.read(path)[1] != sha256


def test_one_that_another_python_has_planned_is_taken(tmp_path: Path) -> None:
    elsewhere = dataclasses.replace(WHOLE.experiment, versions={"python": "3.99.0", "ray": "9.0"})
    path = tmp_path / "trials.json"
    path.write_text(to_json(dataclasses.replace(WHOLE, experiment=elsewhere)))
    here = support.device(python_version="3.11.0")
    asked = assignment.read(path)[0].on(here)
    assert (asked.device, asked.experiment) == (here, elsewhere)


def changed(**fields: object) -> str:
    return json.dumps(json.loads(to_json(WHOLE)) | fields)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no assignment"),
        ("[]", "it holds no JSON object"),
        ("null", "it holds no JSON object"),
        ('{"format": 2}', "the field 'experiment' of Assignment is missing"),
        (changed().replace('"rounds": 2', '"rounds": 2, "rounds": 2'), "'rounds' twice"),
        (changed(rounds=0), "rounds is 0, and at least 1 is wanted"),
        (changed(rounds=3, rounds_at_most=2), "rounds_at_most is 2, and at least 3 is wanted"),
        (changed(idle_s=-1.0), "idle_s is -1, and at least 0 is wanted"),
        (changed(deadline_s=float("nan")), "NaN is no number of JSON's"),
        (changed(idle_s=float("inf")), "Infinity is no number of JSON's"),
        (changed().replace('"prompt_tokens": 8', '"prompt_tokens": -5'), "prompt_tokens is -5"),
        (changed().replace('"deadline_s": 60.0', '"deadline_s": 1e999'), "deadline_s is inf"),
        ("[" * 100_000, "is no assignment"),
        (changed(rounds="2"), "'2' is no int"),
        (changed(rounds=True), "True is no int"),
        (changed(extra=1), "'extra'"),
        (changed(engines={}), "is no assignment"),
        (
            changed(format=FORMAT + 1),
            f"of format {FORMAT + 1}, and this ODLLM reads {FORMAT}",
        ),
    ],
)
def test_what_is_no_assignment_is_wrong_usage(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "trials.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"trials\.json") as refused:
        assignment.read(path)
    assert told in str(refused.value)


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        assignment.read(tmp_path / "none.json")


def test_engines_are_those_that_the_device_has_now_also_in_what_is_skipped() -> None:
    asked: Assignment = dataclasses.replace(WHOLE, skips=(support.skip(),))
    here = support.device("other", engines={"llama_cpp": "2"})
    found = asked.on(here)
    assert found.device == here
    assert {engine.version for engine in found.engines} == {"2"}
    (skip,) = found.skips
    assert (skip.device_id, skip.engine.version) == (here.id, "2")
