"""A store by formula for the pages: three devices, three models, every kind of row.

`python -m tests.app.showcase FILE` writes it, to look at.
"""

import argparse
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from odllm_agent.contract import (
    READ,
    Ceilings,
    Device,
    DeviceKind,
    Energy,
    MeterReport,
    Method,
    ModelFile,
    Phase,
    PowerSample,
    QualityResult,
    Repeat,
    RoundResult,
    Trial,
    Work,
)
from odllm_controller.store import Store
from tests import stores, support

MODELS = {"qwen-0.5B": 494_000_000, "qwen-1.5B": 1_540_000_000, "qwen-3B": 3_090_000_000}
TYPES = ("F16", "Q8_0", "Q5_0", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")
READ_BYTES_S = {"laptop": 40e9, "desktop": 62e9, "slice-1": 19e9}
_METER = MeterReport("rapl", ("package", "dram"), Method.MEASURED, means="energy counter")


def devices() -> tuple[Device, ...]:
    """A laptop with a meter, a desktop without, and a slice of the desktop."""
    return (
        support.device("laptop", meters=(_METER,)),
        support.device("desktop", cpu="Example 12000", ram_bytes=32 * 2**30),
        support.device("slice-1", kind=DeviceKind.VIRTUAL, physical_cores=2, logical_cores=4),
    )


def store(path: Path, models: Sequence[str] = tuple(MODELS), types: Sequence[str] = TYPES) -> Store:
    """A store in which everything was measured in two rounds, but for what failed.

    Args:
        path: The file.
        models: Of `MODELS`.
        types: Their types.
    """
    made = stores.begun(path, *devices())
    files = [
        support.model_file(model, quantization, MODELS[model])
        for model, quantization in itertools.product(models, types)
    ]
    trials = [support.trial(file, device.id) for device in devices() for file in files]
    made.add_plan("run-1", trials, 2)
    for name in READ_BYTES_S:
        made.add_ceilings("run-1", _ceilings(name))
    made.add_baseline("run-1", support.baseline(idle_w=3.1))
    made.add_results("run-1", [_round(trial, n) for trial in trials for n in range(2)])
    made.add_results("run-1", [_quality(device.id, file) for device in devices() for file in files])
    lost = support.trial(support.model_file("qwen-7B", "Q4_0", 7_600_000_000))
    made.add_plan("run-1", [*trials, lost], 2)
    made.add_round("run-1", support.failed_round(lost))
    huge = support.trial(support.model_file("qwen-7B", "F16", 7_600_000_000))
    made.add_skips("run-1", [support.skip(huge, "needs 15.9 GB, and 12.0 GB are free")])
    return made


def _quality(device_id: str, file: ModelFile) -> QualityResult:
    check = support.quality_check(file, device_id=device_id)
    lost = 1 + 2 * math.exp(-1.1 * support.BPW[file.quantization])
    value = 14 * (5e8 / file.n_weights) ** 0.25 * lost
    return replace(support.quality_result(file, value), check=check)


def _ceilings(name: str) -> Ceilings:
    found = support.ceilings(**{READ: READ_BYTES_S[name], "q4_0": 7e11})
    return replace(found, order=replace(found.order, device_id=f"id-of-{name}"))


def _round(of: Trial, index: int) -> RoundResult:
    chance = random.Random(f"{of.id}{index}")
    repeats = tuple(_repeat(of, index, place, chance) for place in range(4))
    result = support.round_result(of, index, repeats[1:])
    assert result.finished is not None
    finished = replace(result.finished, peak_rss_bytes=of.model.file_bytes + 90_000_000)
    return replace(
        support.worked(result, *_work(of)),
        started_at=_start(index),
        repeats=repeats,
        finished=finished,
    )


def _work(of: Trial) -> Iterator[Work]:
    for phase, tokens in ((Phase.PREFILL, of.workload.prompt_tokens), (Phase.DECODE, 1)):
        operations = 2.0 * of.model.n_weights * tokens
        yield Work(phase, "q4_0", float(of.model.weight_bytes), operations)


def _start(index: int) -> datetime:
    return support.STARTED + timedelta(minutes=10 * index)


def _repeat(of: Trial, index: int, place: int, chance: random.Random) -> Repeat:
    name = of.device_id.removeprefix("id-of-")
    slower = 1.03 if place == 0 else 1.0
    base_s = (of.model.weight_bytes / READ_BYTES_S[name] + 0.002) * slower
    token_s = tuple(base_s * (1 + 0.001 * n) * chance.lognormvariate(0, 0.02) for n in range(64))
    prefill_s = 2.6e-10 * of.model.n_weights * chance.lognormvariate(0, 0.02) + 0.01
    made = support.repeat(
        place,
        prefill_s=prefill_s,
        warmup=place == 0,
        started_at=_start(index) + timedelta(seconds=20 * place),
        flags=("busy",) if chance.random() < 0.05 else (),
        before=support.state(temperature_c=50 + 4 * place),
        after=support.state(temperature_c=55 + 4 * place, frequency_hz=2.8e9, busy_s=103.0),
    )
    timed = replace(made, token_s=token_s)
    return _metered(timed, chance) if name == "laptop" else timed


def _metered(made: Repeat, chance: random.Random) -> Repeat:
    """The repeat with what its two windows drew: prefill more than decode."""
    windows = ((Phase.PREFILL, made.prefill_s, 22.0), (Phase.DECODE, made.decode_s, 14.5))
    energies: list[Energy] = []
    samples: list[PowerSample] = []
    start_s = 0.0
    for phase, window_s, watts in windows:
        drawn_w = watts * chance.lognormvariate(0, 0.02)
        energies.append(support.energy(phase, drawn_w * window_s, window_s=window_s))
        step_s = max(0.05, window_s / 200)
        for n in range(max(1, int(window_s / step_s))):
            at_s = start_s + n * step_s
            power_w = drawn_w * chance.lognormvariate(0, 0.05)
            samples.append(PowerSample(phase, "package", "rapl", at_s, at_s + step_s, power_w))
        start_s += window_s
    return replace(made, energy=tuple(energies), power=tuple(samples))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.app.showcase")
    parser.add_argument("file", type=Path)
    store(parser.parse_args().file)
