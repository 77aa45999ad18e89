"""The public view `results`, ready to be shown: labels, quality intervals, what is under way."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from odllm_agent.clock import now
from odllm_agent.contract import DeviceKind
from odllm_agent.terminal.visible import visible
from odllm_controller import store
from odllm_controller.metrics import METRICS, Basis

STATUSES = ("done", "partial", "failed", "skipped", "held", "planned")
"""What can have become of a trial, the best first."""

_RESULTS = r"""
SELECT * FROM results
WHERE $run IS NULL OR trial_id IN (SELECT trial_id FROM planned WHERE run_id = $run)
    OR (status = 'skipped' AND run = $run)
ORDER BY device, n_weights, model, prompt_tokens, output_tokens, depth_tokens, engine, threads,
    list_transform(
        regexp_extract_all(settings::VARCHAR, '\d+'), lambda each: TRY_CAST(each AS BIGINT)
    ),
    settings, file_bpw DESC
"""
# A controller that was killed leaves its run open; nothing that is alive is silent for an hour.
_UNDER_WAY = """
WITH latest AS (
    SELECT run_id, experiment, status, started_at FROM runs ORDER BY started_at DESC LIMIT 1
)
SELECT latest.run_id, latest.experiment
FROM latest
LEFT JOIN rounds USING (run_id)
WHERE latest.status = 'running'
GROUP BY ALL
HAVING coalesce(max(rounds.started_at), max(latest.started_at)) > $now::TIMESTAMP - INTERVAL 1 HOUR
"""

_NAMES = ("device", "model", "quantization", "engine", "engine_version", "workload", "origin")
OWN = "odllm"
"""The origin of what runs of this store measured."""

Settings = Mapping[str, object]

Row = Mapping[str, Any]
"""The values of a row by the names of its columns."""

_TEXTS = {pa.string(): pd.StringDtype(na_value=float("nan"))}

# Of a normal distribution: a score is a mean over hundreds of questions or thousands of tokens.
Z_95 = 1.96
"""The half width of the 95 % interval of a normal distribution, in standard errors."""

_NOTES = {
    DeviceKind.VIRTUAL: "virtual devices: parts of one machine, which share its memory and heat",
    DeviceKind.SIMULATED: "simulated devices: times come from a formula, and nothing was measured",
}


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that is going on now.

    Attributes:
        run: Its id.
        experiment: Its experiment's name.
    """

    run: str
    experiment: str


def load(path: Path, run: str | None = None) -> pd.DataFrame:
    """The rows of `results`, with what a page or a table needs beside them.

    Args:
        path: The store.
        run: The run whose trials to load, measured in it or before; all rows unless told.

    Returns:
        The columns of `results`; `_low` and `_high` of every quality metric; and as text `device`
        (unique, and marked if it is no machine or its figures were imported), `workload_label` and
        `configuration` (the engine with its settings).

    Raises:
        StoreError: The file cannot be read.
    """
    found = store.read_table(path, _RESULTS, {"run": run})
    # Texts stay as they are in Arrow: an object for each takes longer than all numbers together.
    results: pd.DataFrame = _with_visible_names(found.to_pandas(types_mapper=_TEXTS.get))
    workload = ["workload", "prompt_tokens", "output_tokens", "depth_tokens"]
    return results.assign(
        **_quality_intervals(results),
        device=_unique_devices(results),
        workload_label=_labelled(results, workload, _workload_label),
        configuration=_configurations(results),
    )


def under_way(path: Path, moment: datetime | None = None) -> UnderWay | None:
    """The latest run, if it goes on.

    Args:
        path: The store.
        moment: When to ask for, if not now.

    Raises:
        StoreError: The file cannot be read.
    """
    found = store.read(path, _UNDER_WAY, {"now": (moment or now()).replace(tzinfo=None)})
    if found.empty:
        return None
    return UnderWay(str(found["run_id"][0]), str(found["experiment"][0]))


def notes(results: pd.DataFrame) -> list[str]:
    """What must be said of the kinds of devices in some rows, a line each."""
    kinds = set(results["device_kind"].dropna())
    return [note for kind, note in _NOTES.items() if kind in kinds]


def remarks(results: pd.DataFrame) -> list[str]:
    """What must be known of the model files in some rows, a line for each thing and model."""
    files = results.dropna(subset="model_remarks").drop_duplicates("model_sha256")
    return remark_lines(
        (row["model"], row["quantization"], row["model_remarks"].split("; "))
        for row in records(files)
    )


def remark_lines(told: Iterable[tuple[str, str, Iterable[str]]]) -> list[str]:
    """What must be known of model files, a line for each thing and model.

    Args:
        told: The name, the type and the remarks of each file.
    """
    types: dict[tuple[str, str], list[str]] = {}
    for model, quantization, remarks_of_file in told:
        for remark in remarks_of_file:
            types.setdefault((model, remark), []).append(quantization)
    return [
        f"{model} {', '.join(dict.fromkeys(of))}: {remark}" for (model, remark), of in types.items()
    ]


def records(frame: pd.DataFrame) -> list[Row]:
    """The rows of a table, in their order."""
    return [{str(key): row[key] for key in row} for row in frame.to_dict("records")]


def measured(results: pd.DataFrame) -> pd.DataFrame:
    """The rows that have figures."""
    return results[results["repeats"] > 0]


def failed(results: pd.DataFrame) -> pd.DataFrame:
    """The rows whose last attempt failed."""
    return results[results["status"] == "failed"]


def skipped(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of what cannot run."""
    return results[results["status"] == "skipped"]


def held(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of what a run left, because their device was not there or their like failed."""
    return results[results["status"] == "held"]


def unmeasured(results: pd.DataFrame) -> str:
    """What became of what was not measured, with the first reason of each kind, or `""`."""
    kinds = (("failed", "failure"), ("skipped", "skip_reason"), ("held", "hold_reason"))
    rows = {status: results[results["status"] == status][reason] for status, reason in kinds}
    return "; ".join(
        f"{len(reasons)} {status}: {' '.join(str(reasons.iloc[0]).split())}"
        for status, reasons in rows.items()
        if len(reasons)
    )


def _with_visible_names(results: pd.DataFrame) -> pd.DataFrame:
    """The rows with names that can be shown; an imported one is whatever its file said."""
    for column in _NAMES:
        spelt = {name: visible(name) for name in results[column].dropna().unique()}
        changed = {name: text for name, text in spelt.items() if text != name}
        if changed:
            results[column] = results[column].replace(changed)
    return results


def _quality_intervals(results: pd.DataFrame) -> dict[str, pd.Series]:
    """The 95 % interval of every score, from its standard error."""
    intervals = {}
    for metric in METRICS:
        if metric.basis is Basis.CHECK:
            margin = Z_95 * results[metric.standard_error]
            intervals[metric.low] = results[metric.name] - margin
            intervals[metric.high] = results[metric.name] + margin
    return intervals


def _unique_devices(results: pd.DataFrame) -> pd.Series:
    """Names of devices, with a part of the id where two share a name, and what is no machine."""
    shared = results.groupby("device")["device_id"].transform("nunique") > 1
    named = results["device"] + " (" + results["device_id"].astype(str).str[:4] + ")"
    unique = results["device"].where(~shared.astype(bool), named)
    machine = results["device_kind"].isna() | (results["device_kind"] == DeviceKind.REAL)
    marked = unique.where(machine, unique + " (" + results["device_kind"].astype(str) + ")")
    return marked.where(results["origin"] == OWN, marked + " (imported)")


def _labelled(
    results: pd.DataFrame, columns: list[str], label: Callable[..., str | None]
) -> pd.Series:
    """The label of each row, made once for all rows that are alike in some columns."""
    kinds = results[columns].drop_duplicates()
    labels = [label(*kind) for kind in kinds.itertuples(index=False)]
    places = results.groupby(columns, sort=False, dropna=False).ngroup()
    return pd.Series(labels, dtype="str").take(places.to_numpy()).set_axis(results.index)


def _workload_label(name: object, prompt: float, output: float, depth: float) -> str | None:
    if not isinstance(name, str):
        return None
    sizes = f"{name}: {int(prompt)} in, {int(output)} out"
    return f"{sizes}, {int(depth)} before" if depth else sizes


def build_label(row: Row) -> str:
    """The build of a row's engine, in words."""
    build = row["engine_build"]
    return f"build {build}" if isinstance(build, str) else "build unknown"


def _configurations(results: pd.DataFrame) -> pd.Series:
    """The engine, its threads, and every other setting in which rows of that engine differ.

    Where a device has used several builds of one version of an engine, the build too.
    """
    kinds = results[["engine", "settings"]].drop_duplicates()
    differing = {
        str(engine): _differing([_settings(text) for text in texts])
        for engine, texts in kinds.groupby("engine")["settings"]
    }

    def label(engine: object, text: object) -> str | None:
        name = str(engine)
        return _configuration(name, _settings(text), differing[name]) if name in differing else None

    labels = _labelled(results, ["engine", "settings"], label)
    return labels + _build_suffixes(results)


def _build_suffixes(results: pd.DataFrame) -> pd.Series:
    """The build of each row where its device has several of the same version, or nothing."""
    place = ["device_id", "engine", "engine_version"]
    kinds = measured(results)[[*place, "engine_build"]].drop_duplicates()
    n_builds = kinds.groupby(place, dropna=False).size()
    places = pd.MultiIndex.from_frame(results[place])
    several = places.isin(n_builds.index[n_builds > 1])
    told = results["engine_build"].fillna("unknown").astype("str")
    return (", build " + told).where(several, "")


def _settings(text: object) -> Settings:
    found: Settings = json.loads(text) if isinstance(text, str) else {}
    return found


def _differing(rows: Iterable[Settings]) -> list[str]:
    names = sorted({name for row in rows for name in row} - {"threads"})
    return [name for name in names if len({row.get(name) for row in rows if row}) > 1]


def _configuration(engine: str, row: Settings, differing: Sequence[str]) -> str:
    count = row.get("threads")
    threads = [f"{count} {'thread' if count == 1 else 'threads'}"] if count else []
    others = [f"{name} {row[name]}" for name in differing if name in row]
    return ", ".join([engine, *threads, *others])
