"""Which trials are set against which: the same elsewhere, or what differs in one thing only.

Two trials are the same if model, type, workload and the engine with all its settings are. Where two
devices share no settings, as when each uses its own number of threads, and each has just one
configuration of the engine, these two are set against each other.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

import pandas as pd

from odllm_controller.analysis.queries.results import Row, build_label, measured, records
from odllm_controller.metrics import Group, Metric

MODEL_TYPE_AND_WORKLOAD = ["model", "quantization", "workload_label"]
"""The columns that trials of one kind share on all devices."""

_FILE_AND_WORKLOAD = [
    *("model", "quantization", "workload", "prompt_tokens", "output_tokens", "depth_tokens")
]
_WHERE = ("device_id", "engine")
_THREADS = "threads"
# Columns that only serve to match rows.
_SETTINGS, _PLACE = "shared_settings", "place"
_ENGINE, _BUILD = "engine", "build"

Pair: TypeAlias = tuple[Row, Row]


def of_devices(mine: pd.DataFrame, theirs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The same trials on two devices: those with one configuration, or the only one of each.

    Args:
        mine: The rows of one device.
        theirs: Those of the device that it is compared with.
        metric: By what; energy by different methods is never set against each other.

    Returns:
        A row per pair, with the columns of both; those of the second end in `_base`.
    """
    alike = ["energy_method"] if metric.group is Group.ENERGY else []
    same = [*MODEL_TYPE_AND_WORKLOAD, "engine", *alike]
    exact = mine.merge(theirs, on=[*same, "configuration"], suffixes=("", "_base"))
    if len(exact):
        return exact.assign(configuration_base=exact["configuration"])
    return _only(mine, same).merge(_only(theirs, same), on=same, suffixes=("", "_base"))


def differing_in_one(results: pd.DataFrame) -> Iterator[Pair]:
    """Every measured row with the first one that differs from it in the engine or one setting.

    Args:
        results: Rows as `results.load` gives them.
    """
    subject = ["device_id", *MODEL_TYPE_AND_WORKLOAD]
    for _, alike in measured(results).groupby(subject, sort=False):
        rows = records(alike)
        for place, row in enumerate(rows):
            for against in _first_of_each_difference(row, rows[:place]):
                yield row, against


def of_sides(of: pd.DataFrame, against: pd.DataFrame) -> list[Pair]:
    """The trials of two runs, devices, engines or stores that are alike in all that both share.

    That is a model's file of one type with a workload, on the same device if the two share any, on
    the same engine if they share any, with the same settings as far as both have them.

    Args:
        of: The rows of one, as `results.load` gives them.
        against: Those of the other.
    """
    where = [name for name in _WHERE if set(of[name]) & set(against[name])]
    shared = _settings_names(of) & _settings_names(against)
    found = _matched(of, against, where, shared)
    if not found and "device_id" not in where:
        # Each laptop has its own number of cores.
        found = _matched(of, against, where, shared - {_THREADS})
    return found


def is_same_check(row: Row, against: Row) -> bool:
    """Whether two rows of one store have their scores from the same check."""
    checked = ["device_id", "model_sha256", "engine", "engine_build"]
    # A build that is not known is one of its own.
    return len(pd.DataFrame([row, against])[checked].drop_duplicates()) == 1


def _only(rows: pd.DataFrame, same: Sequence[str]) -> pd.DataFrame:
    """The rows of cells of which there is one configuration."""
    return rows[~rows.duplicated(list(same), keep=False)]


def _first_of_each_difference(row: Row, earlier: Sequence[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for other in earlier:
        difference = _difference(row, other)
        if difference:
            found.setdefault(difference, other)
    return list(found.values())


def _difference(row: Row, other: Row) -> str | None:
    """What two rows differ in, if it is one thing; of two engines the settings they share count."""
    mine, others = json.loads(row["settings"]), json.loads(other["settings"])
    differing = [name for name in mine.keys() & others.keys() if mine[name] != others[name]]
    if row["engine"] != other["engine"]:
        differing.append(_ENGINE)
    elif build_label(row) != build_label(other):
        differing.append(_BUILD)
    return differing[0] if len(differing) == 1 else None


def _matched(
    of: pd.DataFrame, against: pd.DataFrame, where: Sequence[str], settings: Collection[str]
) -> list[Pair]:
    mine, others = _latest(of, settings), _latest(against, settings)
    alike = [*_FILE_AND_WORKLOAD, *where, _SETTINGS]
    places = mine[[*alike, _PLACE]].merge(others[[*alike, _PLACE]], on=alike)
    rows, other_rows = records(mine), records(others)
    return [
        (rows[place], other_rows[other])
        for place, other in places[[f"{_PLACE}_x", f"{_PLACE}_y"]].itertuples(index=False)
    ]


def _latest(side: pd.DataFrame, settings: Collection[str]) -> pd.DataFrame:
    """The rows of a side, of several versions of an engine only those of the latest run."""
    alike = [*_FILE_AND_WORKLOAD, "device_id", "engine", "settings"]
    kept = side.sort_values("run_started_at", kind="stable").drop_duplicates(alike, keep="last")
    kept = side.loc[side.index.intersection(kept.index, sort=False)]
    texts = [
        json.dumps({name: found[name] for name in sorted(settings)})
        for found in map(json.loads, kept["settings"])
    ]
    columns: dict[str, Sequence[str] | range] = {_SETTINGS: texts, _PLACE: range(len(kept))}
    return kept.assign(**columns)


def _settings_names(side: pd.DataFrame) -> frozenset[str]:
    """The settings that all rows of a side have."""
    texts = side["settings"].drop_duplicates()
    return frozenset.intersection(*(frozenset(json.loads(text)) for text in texts))
