"""ODLLM's repeats as llama-bench's JSON lines (`-o jsonl`), for tools that read those.

A line is one test: a round's repeats of the prompt, or of the output behind that prompt. What ODLLM
does not know of a field is null.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from odllm_agent.clock import NS_PER_S
from odllm_agent.contract import DeviceKind
from odllm_controller.exchange.bench_test import ENGINE, FLASH_ATTENTION, SETTINGS

Row: TypeAlias = Mapping[str, Any]
"""The values of a row of `results` by the names of its columns."""

_OF_LLAMA_CPP = frozenset({"llama_cpp", ENGINE})


@dataclass(frozen=True, slots=True)
class Windows:
    """What one round timed of one phase.

    Attributes:
        phase: `prefill` or `decode`.
        started_at: When the round's first repeat began, in UTC, if that is known.
        window_s: Seconds of each repeat, shape (repeats,).
    """

    phase: str
    started_at: datetime | None
    window_s: Sequence[float]


def is_of_llama_cpp(row: Row) -> bool:
    """Whether llama-bench's fields can say what a row is about."""
    return row["engine"] in _OF_LLAMA_CPP


def line(row: Row, windows: Windows) -> str:
    """One test as llama-bench tells it.

    Args:
        row: The trial.
        windows: What was timed of it.
    """
    told = {**_build(row), **_model(row), **_settings(row), **_figures(row, windows)}
    return json.dumps(told, allow_nan=False)


def _build(row: Row) -> Row:
    """The versions; ODLLM writes `0.3.36+0c1e570`, llama-bench's rows `b6641 0c1e570`."""
    version = str(row["engine_version"] or "").replace("+", " ").split()
    number = version[0].removeprefix("b") if version else ""
    is_machine = row["device_kind"] == DeviceKind.REAL
    return {
        "build_commit": version[-1] if version else None,
        "build_number": int(number) if number.isdecimal() else None,
        # Tools tell machines apart by this alone.
        "cpu_info": row["device"] if is_machine else f"{row['device']} ({row['device_kind']})",
        "gpu_info": "",
    }


def _model(row: Row) -> Row:
    n_weights, bits, type_ = row["n_weights"], row["file_bpw"], row["quantization"]
    return {
        "model_filename": f"{row['model']}-{type_}.gguf" if type_ else f"{row['model']}.gguf",
        "model_type": f"{row['model']} {type_ or ''}".strip(),
        "model_size": round(bits * n_weights / 8) if bits and n_weights else None,
        "model_n_params": n_weights,
    }


def _settings(row: Row) -> Row:
    settings = json.loads(row["settings"] or "{}")
    own = {mine: name for name, mine in SETTINGS.items()}
    told = {own.get(name, name): value for name, value in settings.items()}
    flash_attention = {text: number for number, text in FLASH_ATTENTION.items()}
    if "flash_attn" in told:
        told["flash_attn"] = flash_attention.get(told["flash_attn"], told["flash_attn"])
    return told


def _figures(row: Row, windows: Windows) -> Row:
    is_prefill = windows.phase == "prefill"
    n_prompt, n_gen = (row["prompt_tokens"], 0) if is_prefill else (0, row["output_tokens"])
    samples_ns = [round(each * NS_PER_S) for each in windows.window_s]
    samples_ts = [(n_prompt + n_gen) / each for each in windows.window_s]
    return {
        "n_prompt": n_prompt,
        "n_gen": n_gen,
        # ODLLM's output follows its prompt.
        "n_depth": row["depth_tokens"] + (0 if is_prefill else row["prompt_tokens"]),
        "test_time": f"{windows.started_at:%Y-%m-%dT%H:%M:%SZ}" if windows.started_at else None,
        "avg_ns": round(statistics.fmean(samples_ns)),
        "stddev_ns": round(_stddev(samples_ns)),
        "avg_ts": statistics.fmean(samples_ts),
        "stddev_ts": _stddev(samples_ts),
        "samples_ns": samples_ns,
        "samples_ts": samples_ts,
    }


def _stddev(values: Sequence[float]) -> float:
    """As llama-bench has it: 0 of one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
