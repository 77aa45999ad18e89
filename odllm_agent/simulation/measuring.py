"""What a simulated device gives in place of a measurement: the same values, from a formula."""

from collections.abc import Iterator

from odllm_agent.clock import now
from odllm_agent.contract import (
    READ,
    REPEATED,
    Baseline,
    Ceiling,
    Ceilings,
    CeilingsOrder,
    DeviceState,
    Energy,
    Failure,
    Finished,
    HeldMemory,
    Loaded,
    Measurement,
    Method,
    Phase,
    Repeat,
    Rest,
    RoundResult,
    Trial,
)
from odllm_agent.engines import simulated
from odllm_agent.engines.floor import KvCache, work
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError, OdllmError, SettingError
from odllm_agent.host.memory_fit import assumed_available_bytes
from odllm_agent.simulation.laptop import ENGINE, REASON, Laptop
from odllm_agent.trials.stopping import interval_width, stopped

_KV = KvCache("F16", 2.0)
_STATED = "stated of a simulated device, not measured"


def measure(laptop: Laptop, order: Measurement) -> RoundResult:
    """A round of a trial; a failure is part of it, never raised."""
    try:
        threads = _threads(laptop, order.trial)
    except OdllmError as error:
        return order.failed(Failure.of(error))
    model, workload = order.trial.model, order.trial.workload
    loaded = Loaded(
        load_s=laptop.pace.load_s(model),
        runtime_bpw=model.file_bpw,
        system=ENGINE,
        work=work(model.anatomy, _KV, workload),
        no_work=model.anatomy.reason,
        energy=_no_energy(Phase.LOAD),
    )
    repeats = tuple(_repeats(laptop, order, threads))
    kv_bytes = int(model.anatomy.kv_values * _KV.value_bytes * workload.context_tokens)
    measured = [each.decode_tok_s for each in repeats if not each.warmup]
    speeds = [*order.earlier_decode_tok_s, *measured]
    reason = stopped(order.policy, len(measured), speeds)
    assert reason is not None  # noqa: S101 - no other round ends
    return RoundResult(
        trial=order.trial,
        round=order.round,
        started_at=now(),
        wall_s=loaded.load_s + sum(each.wall_s or 0.0 for each in repeats),
        loaded=loaded,
        repeats=repeats,
        finished=Finished(
            stopped=reason,
            interval_width=interval_width(speeds),
            peak_rss_bytes=model.file_bytes + kv_bytes,
            held=HeldMemory(reason=REASON),
        ),
    )


def ceilings(laptop: Laptop, order: CeilingsOrder) -> Ceilings:
    """What the formula has the device do at most."""
    operations_per_s = laptop.pace.operations_per_s(int(order.engine.settings["threads"]))
    found = tuple(
        Ceiling(name, laptop.pace.read_bytes_per_s if name == READ else operations_per_s, _STATED)
        for name in order.names
    )
    return Ceilings(order, now(), found)


def rest(order: Rest) -> Baseline:
    """A rest, of which there is nothing to tell."""
    energy = _no_energy(Phase.IDLE) if order.meters else ()
    return Baseline(order.device_id, order.round, now(), 0.0, reason=REASON, energy=energy)


def _threads(laptop: Laptop, trial: Trial) -> int:
    """The threads of a trial.

    Raises:
        EngineError: It wants another engine.
        SettingError: It wants what this one cannot honour.
    """
    if trial.engine.name != ENGINE:
        raise EngineError(
            f"a simulated device has no engine {trial.engine.name}", f"take the engine {ENGINE}"
        )
    threads = int(check_settings(ENGINE, trial.engine.settings)["threads"])
    if threads > laptop.cores:
        raise SettingError(
            f"threads={threads}, and {laptop.name} has {laptop.cores} cores",
            f"set threads to at most {laptop.cores}",
        )
    return threads


def _repeats(laptop: Laptop, order: Measurement, threads: int) -> Iterator[Repeat]:
    speeds = list(order.earlier_decode_tok_s)
    n_measured = 0
    for index in range(order.policy.warmups + order.policy.at_most):
        repeat = _repeat(laptop, order, threads, index)
        yield repeat
        if not repeat.warmup:
            speeds.append(repeat.decode_tok_s)
            n_measured += 1
        if stopped(order.policy, n_measured, speeds):
            return


def _repeat(laptop: Laptop, order: Measurement, threads: int, index: int) -> Repeat:
    model, workload = order.trial.model, order.trial.workload
    found = simulated.times(
        prefill_s=laptop.pace.pass_s(model, threads, workload.prompt_tokens),
        token_s=laptop.pace.pass_s(model, threads, 1),
        output_tokens=workload.output_tokens,
        seed=f"{order.trial.id}:{order.round}:{index}",
    )
    wall_s = found.prefill_s + sum(found.token_s)
    return Repeat(
        index=index,
        warmup=index < order.policy.warmups,
        started_at=now(),
        prefill_s=found.prefill_s,
        ttft_s=found.prefill_s,
        token_s=found.token_s,
        energy=tuple(energy for phase in REPEATED for energy in _no_energy(phase)),
        before=state(laptop, 0.0),
        after=state(laptop, threads * wall_s),
        wall_s=wall_s,
    )


def _no_energy(phase: Phase) -> tuple[Energy, ...]:
    return (Energy(phase, "package", ENGINE, Method.UNAVAILABLE, None, REASON),)


def state(laptop: Laptop, busy_s: float = 0.0) -> DeviceState:
    """A device on which nothing but the formula runs."""
    return DeviceState(
        on_battery=None,
        governor=None,
        frequency_hz=None,
        temperature_c=None,
        throttle_count=None,
        available_bytes=assumed_available_bytes(laptop.ram_bytes),
        swapped_bytes=None,
        busy_s=busy_s,
        own_cpu_s=busy_s,
    )
