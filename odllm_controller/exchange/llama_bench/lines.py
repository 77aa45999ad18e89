"""ODLLM's repeats as llama-bench's JSON lines (`-o jsonl`), for tools that read those.

A line is one test: a round's repeats of the prompt, or of the output behind that prompt. It has
every field that llama-bench writes, since llama.cpp's own scripts refuse a line without one; what
ODLLM does not know of a field is null. Those scripts leave out what they do not know, and so some
fields more tell apart what llama-bench's do not: builds of one commit, files of one name, seeds.
"""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from odllm_agent.clock import NS_PER_S
from odllm_agent.contract import DeviceKind
from odllm_controller.exchange.llama_bench.record import (
    ENGINE,
    FLASH_ATTENTION,
    OWN,
    SETTINGS,
)

Row: TypeAlias = Mapping[str, Any]
"""The values of a row of `results` by the names of its columns."""

# ODLLM writes `0.3.36+0c1e570`, and of llama-bench's rows `b6641 0c1e570`.
_VERSION = re.compile(r"(?:b(?P<number>\d{1,9})\s?|\S*\+)?(?P<commit>\S+)?")
# In the order in which llama-bench of llama.cpp 0c1e570 writes them.
_FIELDS = (
    *("build_commit", "build_number", "cpu_info", "gpu_info", "backends"),
    *("model_filename", "model_type", "model_size", "model_n_params", "n_batch", "n_ubatch"),
    *("n_threads", "cpu_mask", "cpu_strict", "poll", "type_k", "type_v", "n_gpu_layers"),
    *("n_cpu_moe", "split_mode", "main_gpu", "no_kv_offload", "flash_attn", "devices"),
    *("tensor_split", "tensor_buft_overrides", "load_mode", "lazy_mode", "embeddings"),
    *("no_op_offload", "no_host", "repack", "fit_target", "fit_min_ctx"),
    *("n_prompt", "n_gen", "n_depth", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts"),
    *("samples_ns", "samples_ts"),
)
_LOAD_MODES = {True: "mmap", False: "none"}
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
    return json.dumps(dict.fromkeys(_FIELDS) | told, allow_nan=False)


def _build(row: Row) -> Row:
    """The version and the machine."""
    found = _VERSION.fullmatch(row["engine_version"] or "")
    is_machine = row["device_kind"] == DeviceKind.REAL
    return {
        "build_commit": found["commit"] if found else None,
        "build_number": int(found["number"]) if found and found["number"] else None,
        **{name: row.get(name) for name in OWN},
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
    if "mmap" in settings:
        # Older versions wrote the one, newer ones write the other.
        told["load_mode"] = _LOAD_MODES.get(settings["mmap"])
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
