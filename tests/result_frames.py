"""Rows as `analysis.results.load` gives them, without a store."""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from odllm_agent.contract import DeviceKind
from odllm_controller.analysis.queries import results
from tests import stores

_MEASURED: Mapping[str, object] = {
    "origin": "odllm",
    "run": "run-1",
    "device": "laptop",
    "device_id": "d1",
    "device_kind": DeviceKind.REAL.value,
    "engine": "llama_cpp",
    "engine_version": "0.3.34",
    "engine_build": None,
    "model": "m",
    "quantization": "Q4_0",
    "workload": "short",
    "workload_label": "short: 128 in, 64 out",
    "configuration": "llama_cpp, 2 threads",
    "settings": '{"threads": 2}',
    "prompt_tokens": 128,
    "output_tokens": 64,
    "depth_tokens": 0,
    "threads": 2,
    "status": "done",
    "rounds": 3,
    "repeats": 9,
    "flagged_repeats": 0,
    "flags": "",
    "energy_method": "unavailable",
}


def frame(*rows: Mapping[str, object]) -> pd.DataFrame:
    """Measured rows with all columns of `results.load`.

    Args:
        rows: What is told of each; missing are the figures that are not, and alike the rest. A
            trial's id is its place unless told.
    """
    given = [{**_MEASURED, "trial_id": f"trial-{place}", **row} for place, row in enumerate(rows)]
    return pd.DataFrame({name: _column(given, name, like) for name, like in _blank().items()})


def _column(rows: Sequence[Mapping[str, object]], name: object, like: pd.Series) -> pd.Series:
    dtype = "float64" if like.dtype.kind in "iu" else like.dtype
    return pd.Series([row.get(str(name)) for row in rows], dtype=dtype)


@functools.cache
def _blank() -> pd.DataFrame:
    """The columns of an empty store's rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odllm.duckdb"
        stores.begun(path)
        return results.load(path)
