"""How fast a device would be at what was not measured on it, from what it does at most.

A window of a trial takes no less time than its device needs to read what it must read, or to
compute what it must compute, at its ceilings:

    floor_s = max(read_bytes / bytes read per second,
                  sum over types of operations / operations per second)

What a trial must read and compute hangs on its model's file and workload, not on the device
(Williams, Waterman and Patterson, Roofline, Communications of the ACM 52, 2009). Its efficiency is
floor_s / measured seconds. A prediction is the floor on another device, divided by the efficiency
that was seen: the mean of its logarithms over the trials of the same engine and phase, of the same
model and type if there are three or more, else of the same type, else of all. Its margin is the
95 % prediction interval of one more such trial, by Student's t. It knows nothing of how this device
differs from those that were measured but by its ceilings.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from odllm_agent.contract import READ, DeviceKind, Phase
from odllm_controller import store
from odllm_controller.analysis.queries.results import Row, measured, records

PREDICTED = "predicted"
"""The status of a row that was worked out."""

_LEAST_TRIALS = 3
_WORK = "SELECT trial_id, phase, type, read_bytes, operations FROM work"
_CEILINGS = """
SELECT devices.name AS device, devices.kind AS device_kind, device_id, engine, engine_version,
    engine_build, threads, ceilings.name AS type, per_s
FROM latest_ceilings AS ceilings
JOIN devices USING (device_id)
WHERE per_s IS NOT NULL
"""
_TARGET = ["device_id", "engine", "engine_version", "engine_build", "threads"]
# What tells configurations of one device apart.
_CONFIGURATION = ["model", "quantization", "engine", "threads"]
_CONFIGURATION += ["workload", "prompt_tokens", "output_tokens", "depth_tokens"]
# What the trials that a prediction rests on share, from the narrowest pool to the widest.
_POOLS = (
    ["engine", "phase", "quantization", "model"],
    ["engine", "phase", "quantization"],
    ["engine", "phase"],
)
_TIMES = ("tpot_s", "prefill_tok_s")
_NAMES = ("trial_id", "device_id", "engine", "quantization", "model")
# Beside all columns of scores: a file and a workload keep most of these on another device.
_USED = frozenset(
    {
        *(*_NAMES, *_TIMES, *_TARGET, *_CONFIGURATION, "model_sha256", "n_weights", "file_bytes"),
        *("file_bpw", "runtime_bpw", "settings", "workload_label", "configuration"),
        *("peak_rss_bytes", "kv_bytes", "quality_text"),
    }
)
_KEPT_QUALITY = ("perplexity", "kld", "top1_agreement", "delta_p", "accurac")
_NO_ENERGY = "energy is not predicted: ceilings tell nothing of watts"

Floors: TypeAlias = Mapping[tuple[str, str], float]
"""The least seconds of a window, by trial and phase."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What predictions rest on.

    Attributes:
        work: What each trial must read and compute, a row per trial, phase and type.
        ceilings: What each device does at most, a row per engine, threads and type.
    """

    work: pd.DataFrame
    ceilings: pd.DataFrame


def load(path: Path) -> Facts:
    """What a store has to predict from.

    Raises:
        StoreError: The store cannot be read.
    """
    return Facts(store.read(path, _WORK), store.read(path, _CEILINGS))


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What part of the time of some trials their floors explain.

    Attributes:
        mean: The mean of its logarithm.
        sd: The standard deviation of its logarithm.
        n: How many trials were seen.
        n_devices: On how many devices.
    """

    mean: float
    sd: float
    n: int
    n_devices: int

    @classmethod
    def of(cls, pool: pd.DataFrame) -> "Efficiency":
        """That of a pool of trials, two or more."""
        logs = pool["efficiency"].to_numpy(np.float64)
        n_devices = int(pool["device_id"].nunique())
        return cls(float(logs.mean()), float(logs.std(ddof=1)), len(logs), n_devices)

    def time_s(self, floor_s: float) -> tuple[float, float, float]:
        """The time that a floor leads to, and the ends of its 95 % prediction interval."""
        middle = floor_s / np.exp(self.mean)
        t = stdtrit(self.n - 1, 0.975)
        away = np.exp(t * self.sd * np.sqrt(1 + 1 / self.n))
        return float(middle), float(middle / away), float(middle * away)

    def __str__(self) -> str:
        trials = f"{self.n} trials on {self.n_devices} device{'s' * (self.n_devices > 1)}"
        return f"{100 * np.exp(self.mean):.0f} % of its ceilings, as in {trials}"


Pools: TypeAlias = Mapping[tuple[str, ...], Efficiency]
"""What was seen of trials that share something, by what they share."""


def predict(results: pd.DataFrame, facts: Facts, device_id: str) -> pd.DataFrame:
    """What a device would do at what was measured elsewhere, or with other settings, and not on it.

    Args:
        results: Rows as `results.load` gives them, of all devices.
        facts: What predictions rest on.
        device_id: The device; its ceilings must be among the facts, or nothing is predicted.

    Returns:
        Rows like `results`, of status `predicted` and with no repeats: speed and latency with their
        margins; peak memory and quality as they are elsewhere; no energy. The column `prediction`
        says in words what each rests on.
    """
    there = _needed(measured(results).dropna(subset=["threads"]))
    pools = _pools(_seen(there, facts))
    targets = facts.ceilings[facts.ceilings["device_id"] == device_id]
    rows = [
        row
        for _, ceilings in targets.groupby(_TARGET, sort=False)
        for row in _of_target(there, facts.work, ceilings, pools)
    ]
    found = pd.DataFrame(rows, columns=[*results.columns, "prediction"])
    return found.drop_duplicates(_CONFIGURATION, ignore_index=True)


def _needed(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that predictions are worked out from or take over, of many."""
    used = rows[[name for name in rows if name in _USED or str(name).startswith(_KEPT_QUALITY)]]
    # As the table of ceilings has it, so that both are grouped alike.
    return used.assign(engine_build=used["engine_build"].fillna(""))


def _seen(rows: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """The logarithm of the efficiency of every trial and phase whose device has its ceilings."""
    by_target = dict(tuple(facts.ceilings.groupby(_TARGET)))
    parts = [
        part
        for key, alike in rows.groupby(_TARGET)
        if key in by_target
        for part in _efficiencies(alike, _floors(facts.work, alike["trial_id"], by_target[key]))
    ]
    return pd.DataFrame(parts, columns=[*_NAMES, "phase", "efficiency"])


def _efficiencies(rows: pd.DataFrame, floors: Floors) -> Iterator[tuple[object, ...]]:
    for row in records(rows[[*_NAMES, "prompt_tokens", *_TIMES]]):
        # Of decode the seconds of a token.
        prefill_s = row["prompt_tokens"] / row["prefill_tok_s"]
        for phase, window_s in ((Phase.DECODE, row["tpot_s"]), (Phase.PREFILL, prefill_s)):
            floor_s = floors.get((row["trial_id"], phase), math.nan)
            if floor_s > 0 and window_s > 0:
                yield *(row[name] for name in _NAMES), phase, math.log(floor_s / window_s)


def _floors(work: pd.DataFrame, trials: pd.Series, ceilings: pd.DataFrame) -> Floors:
    """The least seconds that windows of trials take under some ceilings; none where one lacks."""
    per_s = dict(zip(ceilings["type"], ceilings["per_s"], strict=True))
    asked = work[work["trial_id"].isin(set(trials))]
    operations_per_s = asked["type"].map(per_s).astype("float64")
    compute_s = (asked["operations"] / operations_per_s).where(asked["operations"] > 0, 0.0)
    parts = asked.assign(
        traffic_s=asked["read_bytes"] / per_s.get(READ, math.nan),
        # A sum with a ceiling that is not known is not known.
        compute_s=compute_s.fillna(math.inf),
    )
    sums = parts.groupby(["trial_id", "phase"])[["traffic_s", "compute_s"]].sum(min_count=1)
    floors = sums.max(axis=1, skipna=False)
    known = floors[np.isfinite(floors)]
    return {(str(trial), str(phase)): float(s) for (trial, phase), s in known.items()}


def _of_target(
    rows: pd.DataFrame, work: pd.DataFrame, ceilings: pd.DataFrame, pools: Pools
) -> Iterator[Row]:
    """Predictions for one device, engine and number of threads."""
    target = ceilings.iloc[0]
    on_engine = rows[rows["engine"] == target["engine"]]
    here = on_engine[on_engine["device_id"] == target["device_id"]]
    known = pd.MultiIndex.from_frame(here[_CONFIGURATION])
    wanted = on_engine.assign(threads=float(target["threads"]))[_CONFIGURATION]
    unknown = on_engine[~pd.MultiIndex.from_frame(wanted).isin(known)]
    floors = _floors(work, unknown["trial_id"], ceilings)
    for row in records(unknown):
        found = _predicted(row, target, floors, pools)
        if found:
            yield found


def _predicted(row: Row, target: pd.Series, floors: Floors, pools: Pools) -> Row | None:
    """A row of what another device measured, as it would be here; `None` without its ceilings."""
    decode = _efficiency(row, Phase.DECODE, pools)
    prefill = _efficiency(row, Phase.PREFILL, pools)
    decode_s = floors.get((row["trial_id"], Phase.DECODE))
    prefill_s = floors.get((row["trial_id"], Phase.PREFILL))
    if not (decode and prefill and decode_s and prefill_s):
        return None
    return {
        **_elsewhere(row, target),
        **_times(decode.time_s(decode_s), prefill.time_s(prefill_s), row["prompt_tokens"]),
        "prediction": f"decode at {decode}; prefill at {prefill}",
    }


def _pools(seen: pd.DataFrame) -> Pools:
    """The efficiency of every pool that has enough trials."""
    return {
        tuple(map(str, key)): Efficiency.of(pool)
        for names in _POOLS
        for key, pool in seen.groupby(names)
        if len(pool) >= _LEAST_TRIALS
    }


def _efficiency(row: Row, phase: Phase, pools: Pools) -> Efficiency | None:
    """The efficiency of the narrowest pool that a row belongs to."""
    names = {**row, "phase": phase}
    keys = (tuple(str(names[name]) for name in pool) for pool in _POOLS)
    return next((pools[key] for key in keys if key in pools), None)


def _elsewhere(row: Row, target: pd.Series) -> Row:
    """What a row keeps on another device: its file, workload, memory and quality."""
    kept = {name: value for name, value in row.items() if name not in _TIMES}
    device, kind, threads = target["device"], target["device_kind"], int(target["threads"])
    told = f"{threads} {'thread' if threads == 1 else 'threads'}"
    return {
        **kept,
        # Marked as `results.load` marks what is no machine.
        "device": str(device if kind == DeviceKind.REAL else f"{device} ({kind})"),
        "device_id": target["device_id"],
        "device_kind": kind,
        "engine_version": target["engine_version"],
        "engine_build": target["engine_build"] or None,
        "threads": threads,
        "configuration": re.sub(r"\d+ threads?", told, row["configuration"]),
        "status": PREDICTED,
        "repeats": 0,
        "rounds": 0,
        "flags": "",
        "energy_method": "unavailable",
        "energy_reason": _NO_ENERGY,
    }


def _times(
    token_s: tuple[float, float, float], prefill_s: tuple[float, float, float], prompt_tokens: int
) -> Mapping[str, float]:
    """The speeds and latencies that follow from two times, each with its ends."""
    found: dict[str, float] = {}
    for place, end in enumerate(("", "_low", "_high")):
        # The fastest speed comes with the shortest time.
        other = (0, 2, 1)[place]
        found |= {
            f"tpot_s{end}": token_s[place],
            f"ttft_s{end}": prefill_s[place],
            f"decode_tok_s{end}": 1 / token_s[other],
            f"prefill_tok_s{end}": prompt_tokens / prefill_s[other],
        }
    return found
