"""Simulated devices give what real ones give, from a formula, and say so everywhere."""

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Candidate,
    CeilingsOrder,
    DeviceKind,
    Engine,
    Entry,
    Exam,
    Failure,
    Limits,
    Measurement,
    Method,
    ModelFile,
    ModelRequest,
    Order,
    Phase,
    Quantization,
    RepeatPolicy,
    Rest,
    RoundResult,
    Source,
    Stopped,
    Tag,
    Trial,
    Workload,
    from_json,
    to_json,
)
from odllm_agent.engines import simulated
from odllm_agent.simulation.agent import SimulatedAgent
from odllm_agent.simulation.laptop import ENGINE, REASON, Laptop
from odllm_agent.simulation.outlines import Outlines
from tests import support

TAG = Tag("store", "run-1")
LAPTOP = Laptop.of(7)
WORKLOAD = Workload("short", 128, 32)


def agent() -> SimulatedAgent:
    return SimulatedAgent(LAPTOP, Outlines())


def order(model: ModelFile | None = None, **changes: object) -> Measurement:
    engine = Engine(ENGINE, simulated.VERSION, {"threads": 2})
    trial = Trial(LAPTOP.id, model or support.model_file(n_weights=10**9), engine, WORKLOAD)
    fields: dict[str, object] = {"trial": trial, "round": 0, "policy": RepeatPolicy()}
    return Measurement(**(fields | changes))  # type: ignore[arg-type]


def carried_out(
    by: SimulatedAgent, asked: Order, tag: Tag = TAG, stored: tuple[str, ...] = ()
) -> Entry:
    return by.carry_out(asked, tag, Limits(), stored)


def measured(asked: Measurement) -> RoundResult:
    result = carried_out(agent(), asked).measured
    assert result is not None
    return result


def with_engine(name: str, **settings: int | str) -> Measurement:
    asked = order()
    return replace(asked, trial=replace(asked.trial, engine=Engine(name, "1", settings)))


def test_a_fleet_is_the_same_for_the_same_seed() -> None:
    fleet = [Laptop.of(number) for number in range(500)]
    assert fleet == [Laptop.of(number) for number in range(500)]
    assert len({each.id for each in fleet}) == 500
    assert {each.id for each in fleet}.isdisjoint(Laptop.of(n, seed=1).id for n in range(500))
    assert len({each.ram_bytes for each in fleet}) > 1


def test_a_device_says_that_it_is_simulated() -> None:
    device = agent().device(())
    assert (device.name, device.kind) == ("sim-007", DeviceKind.SIMULATED)
    assert device.engines == {"simulated": simulated.VERSION}
    assert [meter.reason for meter in device.meters] == [REASON]


def test_times_follow_the_formula() -> None:
    model = support.model_file(n_weights=10**9)
    result = measured(order(model))
    pace = LAPTOP.pace
    token_s = max(model.file_bytes / pace.read_bytes_per_s, 2e9 / (2 * pace.operations_per_core_s))
    prefill_s = max(
        model.file_bytes / pace.read_bytes_per_s, 128 * 2e9 / (2 * pace.operations_per_core_s)
    )
    repeats = [each for each in result.repeats if not each.warmup]
    assert statistics.median(1 / each.decode_tok_s for each in repeats) == pytest.approx(
        token_s, rel=0.08
    )
    assert statistics.median(each.prefill_s for each in repeats) == pytest.approx(
        prefill_s, rel=0.08
    )
    assert all(len(each.token_s) == 32 for each in repeats)
    assert len({each.decode_tok_s for each in repeats}) == len(repeats)


@given(st.integers(10**6, 10**11), st.integers(1, 64), st.integers(1, 4096))
def test_no_pass_is_quicker_than_memory_or_cores_allow(
    n_weights: int, threads: int, n_tokens: int
) -> None:
    model = support.model_file(n_weights=n_weights)
    pass_s = LAPTOP.pace.pass_s(model, threads, n_tokens)
    assert pass_s * LAPTOP.pace.read_bytes_per_s >= model.file_bytes * (1 - 1e-9)
    least = 2 * n_weights * n_tokens / LAPTOP.pace.operations_per_s(threads)
    assert pass_s == pytest.approx(max(least, model.file_bytes / LAPTOP.pace.read_bytes_per_s))


def test_the_same_round_scatters_in_the_same_way() -> None:
    first, again = (measured(order()).repeats for _ in range(2))
    other = measured(order(round=1)).repeats
    assert [each.token_s for each in first] == [each.token_s for each in again]
    assert [each.token_s for each in first] != [each.token_s for each in other]


def test_energy_is_unavailable_and_never_a_figure() -> None:
    result = measured(order())
    assert result.loaded is not None
    found = [*result.loaded.energy, *(each for part in result.repeats for each in part.energy)]
    assert {each.phase for each in found} == {Phase.LOAD, Phase.PREFILL, Phase.DECODE}
    told = {(each.method, each.energy_j, each.reason) for each in found}
    assert told == {(Method.UNAVAILABLE, None, REASON)}


def test_a_round_stops_as_a_real_one_does() -> None:
    wide = RepeatPolicy(at_least=2, at_most=4, interval_target=1e-9)
    at_cap = measured(order(policy=wide))
    assert (at_cap.stopped, len(at_cap.repeats)) == (Stopped.CAP, 1 + 4)
    narrow = replace(wide, at_most=50, interval_target=10.0)
    assert measured(order(policy=narrow)).stopped is Stopped.NARROW


def test_a_result_survives_the_wire() -> None:
    result = measured(order())
    assert from_json(RoundResult, to_json(result)) == result


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (with_engine("llama_cpp", threads=2), "no engine llama_cpp"),
        (with_engine(ENGINE, threads=2, mmap=1), "no setting named 'mmap'"),
        (with_engine(ENGINE, threads=0), "threads=0"),
        (with_engine(ENGINE, threads=999), "threads=999"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(asked: Measurement, told: str) -> None:
    result = measured(asked)
    assert result.failure is not None
    assert told in result.failure.message
    assert not result.repeats


def test_ceilings_are_told_as_stated() -> None:
    engine = Engine(ENGINE, simulated.VERSION, {"threads": 2})
    found = carried_out(agent(), CeilingsOrder(LAPTOP.id, engine, ("read", "Q4_0"))).ceilings
    assert found is not None
    assert [each.per_s for each in found.found] == [
        LAPTOP.pace.read_bytes_per_s,
        LAPTOP.pace.operations_per_s(2),
    ]
    assert all("not measured" in each.method for each in found.found)


def test_there_is_nothing_to_rest_from_and_no_quality() -> None:
    rested = carried_out(agent(), Rest(LAPTOP.id, 0, ("auto",), 5.0)).rested
    assert rested is not None
    assert (rested.own_cores, rested.reason) == (None, REASON)
    assert [each.energy_j for each in rested.energy] == [None]
    for refused in (agent().text_sha256("reference"), agent().look_up(Exam("t", "", None), 1.0)):
        assert REASON in refused.message
    checked = carried_out(agent(), support.quality_check()).checked
    assert checked is not None
    assert checked.failure is not None


def test_what_is_not_acknowledged_is_kept() -> None:
    one = agent()
    entries = [carried_out(one, order(round=number)) for number in range(3)]
    carried_out(one, order(round=3), Tag("another store", "run-1"))
    assert one.collect("store", "").entries == tuple(entries)
    one.acknowledge([entries[0].id])
    assert one.collect("store", "").entries == tuple(entries[1:])
    assert one.collect("store", entries[1].id).entries == (entries[2],)
    last = carried_out(one, order(round=4), stored=(entries[1].id, entries[2].id))
    assert one.collect("store", "").entries == (last,)


def test_a_model_is_described_by_the_quantizer_and_never_made() -> None:
    request = ModelRequest("shape", Source.SHAPE, "qwen2.5-0.5B", Quantization("Q4_0"))
    one = agent()
    file = one.prepare(request)
    assert isinstance(file, ModelFile)
    # Its rows of 896 are no multiple of 256, and so Q4_0 is larger than 4.5 bits per weight.
    assert file.file_bpw == pytest.approx(5.61, abs=0.01)
    assert (file.path, file.no_quality) == ("", REASON)
    candidate = Candidate(request, Engine(ENGINE, simulated.VERSION, {"threads": 2}), WORKLOAD)
    (forecast,) = one.forecast((candidate,), (), here=True)
    assert forecast.model == file
    assert forecast.available_bytes < LAPTOP.ram_bytes
    other = one.prepare(replace(request, seed=1))
    assert isinstance(other, ModelFile)
    assert other.sha256 != file.sha256


def test_a_file_that_somebody_has_is_refused() -> None:
    refused = agent().prepare(ModelRequest("mine", Source.FILE, "/models/x.gguf"))
    assert isinstance(refused, Failure)
    assert "mine comes from the source file" in refused.message
