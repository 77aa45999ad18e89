"""Contract values as rows of the store's tables: one dictionary per row, a key per column."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime

from odllm_agent.contract import (
    Baseline,
    Ceiling,
    Ceilings,
    Device,
    Energy,
    Engine,
    Event,
    Failure,
    HeldMemory,
    Loaded,
    ModelFile,
    ModelRequest,
    Phase,
    QualityCheck,
    QualityResult,
    Repeat,
    RoundResult,
    Score,
    Skip,
    Trial,
    Workload,
    to_json,
)
from odllm_agent.statistics.interval import Rounds, interval_of
from odllm_controller.store.run import Run

Row = dict[str, object]


def timestamp(moment: datetime) -> datetime:
    """A moment as the store keeps it: in UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def of_run(run: Run) -> Row:
    """The row of a run that has just begun."""
    row = dataclasses.asdict(run)
    return {
        "run_id": row.pop("id"),
        "status": "running",
        **row,
        "started_at": timestamp(run.started_at),
        "versions": to_json(run.versions),
    }


def of_event(event: Event, run_id: str) -> Row:
    """The row of an event."""
    return {
        "happened_at": timestamp(event.at),
        "kind": str(event.kind),
        "device_id": event.device_id,
        "run_id": run_id,
        "detail": event.detail,
    }


def of_device(device: Device) -> Row:
    """The row of a device."""
    row: Row = {f.name: getattr(device, f.name) for f in dataclasses.fields(device)}
    del row["builds"]
    return {
        "device_id": row.pop("id"),
        **row,
        "kind": str(device.kind),
        "engines": to_json(device.engines),
        "meters": to_json(device.meters),
        "core_types": to_json(device.core_types),
    }


def of_builds(device: Device) -> Iterator[Row]:
    """A row per engine of a device: how it was built."""
    for engine, build in device.builds.items():
        yield {
            "build_id": build.id,
            "engine": engine,
            "engine_version": device.engines[engine],
            "system": build.system,
            "compiler": build.compiler,
            "flags": build.flags,
            "sha256": build.sha256,
        }


def of_build_tests(device: Device) -> Iterator[Row]:
    """A row per type and code path that was tried of the engines of a device."""
    for engine, build in device.builds.items():
        for test in build.tests:
            yield {
                "device_id": device.id,
                "build_id": build.id,
                "engine": engine,
                **dataclasses.asdict(test),
                "outcome": str(test.outcome),
            }


def of_model(file: ModelFile) -> Row:
    """The row of a model file; where it lies stands with the trial."""
    row = dataclasses.asdict(file)
    for unstored in ("path", "tensor_types", "format", "anatomy", "files"):
        del row[unstored]
    card = row.pop("card")
    told = {"mix": to_json(file.mix), "remarks": to_json(file.remarks)}
    return {**row, **card, **told, "source": str(file.source or "")}


def of_trial(trial: Trial) -> Row:
    """The row of a trial."""
    return {
        "trial_id": trial.id,
        "device_id": trial.device_id,
        "model_sha256": trial.model.sha256,
        "model_path": trial.model.path,
        **_of_engine(trial.engine),
        **_of_workload(trial.workload),
    }


def of_skip(skip: Skip, run_id: str) -> Row:
    """The row of a trial that is not tried."""
    return {
        "run_id": run_id,
        "device_id": skip.device_id,
        "model": skip.model.name,
        "quantization": skip.model.quantization,
        "file_bytes": skip.model.file_bytes,
        "weight_bytes": skip.model.weight_bytes,
        "n_weights": skip.model.n_weights,
        **_of_engine(skip.engine),
        **_of_workload(skip.workload),
        "reason": skip.reason,
    }


def of_round(result: RoundResult, run_id: str, round_id: int) -> Row:
    """The row of one worker's round."""
    loaded, finished = result.loaded, result.finished
    held = dataclasses.asdict(finished.held if finished else HeldMemory())
    return {
        "round_id": round_id,
        "run_id": run_id,
        "trial_id": result.trial.id,
        "round": result.round,
        "started_at": timestamp(result.started_at),
        "wall_s": result.wall_s,
        "load_s": loaded.load_s if loaded else None,
        "runtime_bpw": loaded.runtime_bpw if loaded else None,
        "system": loaded.system if loaded else None,
        "no_work": loaded.no_work if loaded else None,
        "peak_rss_bytes": finished.peak_rss_bytes if finished else None,
        "stopped": str(result.stopped),
        "interval_width": finished.interval_width if finished else None,
        "complete": result.complete,
        "memory_reason": held.pop("reason"),
        **held,
        "waited_s": result.waited_s,
        "available_before_bytes": result.available_before_bytes,
        "available_after_bytes": result.available_after_bytes,
    }


def of_repeat(repeat: Repeat, round_id: int) -> Row:
    """The row of a repeat."""
    return {
        "round_id": round_id,
        "repeat": repeat.index,
        "warmup": repeat.warmup,
        "started_at": timestamp(repeat.started_at),
        "prefill_s": repeat.prefill_s,
        "ttft_s": repeat.ttft_s,
        "flags": list(repeat.flags),
        "wall_s": repeat.wall_s,
    }


def of_work(result: RoundResult) -> Iterator[Row]:
    """A row per phase and type of weights, keys and values."""
    trial_id = result.trial.id
    for work in result.loaded.work if result.loaded else ():
        yield {"trial_id": trial_id, **dataclasses.asdict(work), "phase": str(work.phase)}


def of_token_times(repeat: Repeat, round_id: int) -> Row:
    """The rows of all tokens of a repeat in one, the times as a list in their order."""
    return {"round_id": round_id, "repeat": repeat.index, "token_s": list(repeat.token_s)}


def of_further_passes(repeat: Repeat, round_id: int) -> Iterator[Row]:
    """A row per pass that only made a window longer."""
    for phase, passes in (
        (Phase.PREFILL, repeat.more_prefill_s),
        (Phase.DECODE, repeat.more_decode_s),
    ):
        for number, pass_s in enumerate(passes, start=1):
            yield {
                "round_id": round_id,
                "repeat": repeat.index,
                "phase": str(phase),
                "pass": number,
                "pass_s": pass_s,
            }


def of_energy(result: RoundResult, round_id: int) -> Iterator[Row]:
    """A row per phase, domain and meter of the load and of each repeat."""
    for repeat, part in _metered(result):
        for energy in part.energy:
            yield {"round_id": round_id, "repeat": repeat, **_of_window(energy)}


def of_power(result: RoundResult, round_id: int) -> Iterator[Row]:
    """A row per sample of the power during the load and during each repeat."""
    for repeat, part in _metered(result):
        for sample in part.power:
            row = dataclasses.asdict(sample) | {"phase": str(sample.phase)}
            yield {"round_id": round_id, "repeat": repeat, **row}


def of_baseline(baseline: Baseline, run_id: str) -> Row:
    """The row of a device at rest."""
    failure = baseline.failure
    return {
        **_at_rest(baseline, run_id),
        "round": baseline.round,
        "wall_s": baseline.wall_s,
        "own_cores": baseline.own_cores,
        "own_bytes": baseline.own_bytes,
        "busy_cores": baseline.busy_cores,
        "reason": failure.message if failure else baseline.reason,
    }


def of_idle_energy(baseline: Baseline, run_id: str) -> Iterator[Row]:
    """A row per domain and meter of a device at rest."""
    for energy in baseline.energy:
        row = _of_window(energy)
        del row["phase"], row["passes"]
        yield {**_at_rest(baseline, run_id), **row}


def of_device_states(repeat: Repeat, round_id: int) -> Iterator[Row]:
    """A row for the device before the repeat and one after it."""
    for moment, state in (("before", repeat.before), ("after", repeat.after)):
        yield {
            "round_id": round_id,
            "repeat": repeat.index,
            "moment": moment,
            **dataclasses.asdict(state),
        }


def of_quality(result: QualityResult, run_id: str) -> Iterator[Row]:
    """A row per score that was asked for, whether there is one or not."""
    check, failure = result.check, result.failure
    missing = failure.message if failure else "the check gave no such score"
    asked = {metric: Score(metric, None, None, 0, missing) for metric in check.metrics}
    found = asked | {score.metric: score for score in result.scores}
    for score in found.values():
        yield {
            "check_id": check.id,
            "run_id": run_id,
            "device_id": check.device_id,
            "model_sha256": check.model.sha256,
            **_of_engine(check.engine),
            **_of_subject(check),
            **dataclasses.asdict(score),
            "complete": result.complete,
            "wall_s": result.wall_s,
        }


def of_ends(trial_id: str, metric: str, rounds: Rounds) -> Row:
    """The ends of the interval of one metric of a trial, from its repeats by round."""
    interval = interval_of(rounds, seed=trial_id)
    return {
        "trial_id": trial_id,
        "metric": metric,
        "low": interval.low,
        "high": interval.high,
        "reason": interval.reason,
    }


def of_ceilings(result: Ceilings, run_id: str) -> Iterator[Row]:
    """A row per ceiling that was asked for, whether there is a figure or not."""
    engine, missing = result.order.engine, result.failure.message if result.failure else ""
    found = result.found or [Ceiling(name, None, "", missing) for name in result.order.names]
    for ceiling in found:
        yield {
            "device_id": result.order.device_id,
            "engine": engine.name,
            "engine_version": engine.version,
            "engine_build": engine.build,
            "threads": engine.settings["threads"],
            "run_id": run_id,
            "measured_at": timestamp(result.measured_at),
            **dataclasses.asdict(ceiling),
        }


def of_unprepared(request: ModelRequest, device_id: str) -> Row:
    """The part of a failure's row that names a model that could not be prepared."""
    return {
        "stage": "prepare",
        "device_id": device_id,
        "model": request.name,
        "quantization": str(request.quantization) if request.quantization else None,
        "source": str(request.source),
        "location": request.location,
    }


def of_unmeasured(trial: Trial, round_id: int) -> Row:
    """The part of a failure's row that names a round."""
    return {
        "stage": "measure",
        "device_id": trial.device_id,
        "model": trial.model.name,
        "quantization": trial.model.quantization,
        "round_id": round_id,
    }


def of_unchecked(result: QualityResult) -> Row:
    """The part of a failure's row that names a quality check."""
    check = result.check
    return {
        "stage": "quality",
        "device_id": check.device_id,
        "model": check.model.name,
        "quantization": check.model.quantization,
        "check_id": check.id,
    }


def of_failure(failure: Failure, run_id: str) -> Row:
    """The part of a failure's row that says what went wrong."""
    return {"run_id": run_id, **dataclasses.asdict(failure)}


def _metered(result: RoundResult) -> Iterator[tuple[int | None, Loaded | Repeat]]:
    """What was metered in a round, with the repeat's number; a load belongs to none."""
    if result.loaded:
        yield None, result.loaded
    for repeat in result.repeats:
        yield repeat.index, repeat


def _of_window(energy: Energy) -> Row:
    row = dataclasses.asdict(energy)
    return row | {"phase": str(energy.phase), "method": str(energy.method)}


def _at_rest(baseline: Baseline, run_id: str) -> Row:
    return {
        "run_id": run_id,
        "device_id": baseline.device_id,
        "started_at": timestamp(baseline.started_at),
    }


def _of_engine(engine: Engine) -> Row:
    return {
        "engine": engine.name,
        "engine_version": engine.version,
        "engine_build": engine.build,
        "settings": to_json(engine.settings),
    }


def _of_workload(workload: Workload) -> Row:
    row = dataclasses.asdict(workload)
    return {"workload": row.pop("name"), **row}


def _of_subject(check: QualityCheck) -> Row:
    reading, exam = check.reading, check.exam
    return {
        "kind": "text" if reading else "task",
        "subject": check.subject,
        "subject_sha256": reading.sha256 if reading else exam.sha256 if exam else "",
        "window_tokens": reading.window_tokens if reading else None,
        "most": reading.max_windows if reading else exam.limit if exam else None,
        "base_sha256": check.base.sha256 if check.base else None,
    }
