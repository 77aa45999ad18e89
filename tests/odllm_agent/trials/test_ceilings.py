"""What this very machine does at most, told by its real memory and engines."""

import pytest

from odllm_agent.contract import READ, Ceiling, CeilingsOrder, Engine
from odllm_agent.engines.settings import check_settings
from odllm_agent.trials import ceilings


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_READ_BUDGET_S", 0.0)
    monkeypatch.setattr(ceilings, "_TYPE_BUDGET_S", 0.0)


def found(engine: str, *names: str, **settings: int | str) -> dict[str, Ceiling]:
    checked = check_settings(engine, {"threads": 1, **settings})
    order = CeilingsOrder("d", Engine(engine, "v", checked), names)
    answer = ceilings.measure(order)
    assert answer.order == order
    return {each.name: each for each in answer.found}


def test_every_name_has_a_figure_and_how_it_was_measured() -> None:
    told = found("llama_cpp", READ, "F16", "Q4_K")
    assert set(told) == {READ, "F16", "Q4_K"}
    for each in told.values():
        assert each.per_s
        assert each.method
        assert each.reason == ""
    assert told[READ].method != told["F16"].method


def test_one_that_cannot_be_measured_says_why_and_the_others_are() -> None:
    told = found("llama_cpp", "Q9_9", "F16")
    assert told["Q9_9"].per_s is None
    assert "Q9_9" in told["Q9_9"].reason
    assert told["F16"].per_s


def test_without_memory_the_bandwidth_is_missing_rather_than_that_of_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ceilings, "available_bytes", lambda: 10_000_000)
    (told,) = found("llama_cpp", READ).values()
    assert told.per_s is None
    assert "free memory" in told.reason


@pytest.mark.parametrize("kind", ["f32", "f16", "u8", "u4"])
def test_openvino_multiplies_every_type_that_its_reader_makes(kind: str) -> None:
    (told,) = found("openvino", kind).values()
    assert told.per_s
    assert "OpenVINO" in told.method


def test_a_type_that_openvino_has_not_is_named() -> None:
    (told,) = found("openvino", "q9").values()
    assert told.per_s is None
    assert "q9" in told.reason
