"""`odllm plan`: what an experiment will need, before anything is made, fetched or measured."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from odllm_agent.contract import Device, Forecast, Scalar, from_json
from odllm_agent.errors import UsageError
from odllm_agent.room import ASSUMED_SYSTEM_BYTES, assumed_available_bytes
from odllm_controller import plan, table
from odllm_controller.analysis import speeds
from odllm_controller.config import Experiment
from odllm_controller.dispatch import RemoteAgent, local_fleet
from odllm_controller.estimate import Estimate, estimate

_GB = 1e9
_EXAMPLES = """\
examples:
  odllm plan +experiment=sweep
  odllm plan +experiment=sweep 'model=[file]' models.file.path=/models/mine-F16.gguf
  odllm plan +experiment=sweep engines.llama_cpp.kv_type_k=q8_0 workloads.short.depth_tokens=8192
  odllm plan +experiment=sweep --json > plan.json
  odllm plan +experiment=sweep --device-file laptop.json    laptop.json: `odllm-agent describe`

Overrides are those of `odllm run`, whose --help tells them all. Nothing is made, fetched or stored.
Exit status: 0 done, 2 wrong usage, 3 of some trials nothing can be told.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What `odllm plan` was asked beside the overrides.

    Attributes:
        as_json: Whether a script will read the answer.
        device_file: A device to plan for instead of those that can be reached.
        overrides: Of the experiment.
    """

    as_json: bool
    device_file: Path | None
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Options":
        """The options of a command line; it ends the process if they are wrong, or with help."""
        parser = argparse.ArgumentParser(
            prog="odllm plan",
            usage="odllm plan +experiment=NAME [overrides] [--json] [--device-file FILE]",
            description="Tells what an experiment will need on each device: bits per weight, disk, "
            "memory and time, and what cannot run there.",
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--json", action="store_true", help="a list with an object per trial")
        parser.add_argument(
            "--device-file", type=Path, help="plan for the device that this file describes"
        )
        known, overrides = parser.parse_known_args(list(arguments))
        return cls(known.json, known.device_file, tuple(overrides))


@dataclass(frozen=True, slots=True)
class Row:
    """What one trial will need; what is not known is `None`.

    Attributes:
        device: The device's name.
        model: The model's name.
        quantization: The type of its weights.
        engine: The engine's name.
        file_bpw: Bits per weight of the file.
        file_bytes: Its size.
        memory_bytes: The peak resident set of the worker.
        fits: Whether it can run; `None` if nothing can be told.
        reason: Why it cannot, or why something is not known.
        workload: The workload's name.
        prompt_tokens: Tokens handed over in one go.
        output_tokens: Tokens decoded one after another.
        depth_tokens: Tokens in the context before.
        settings: Every setting of the engine.
        needed_bytes: The part of the memory that must stay; it decides whether the trial fits.
        kv_bytes: The part of it that is the KV cache.
        available_bytes: The memory that the device has free.
        disk_bytes: What will be written into the device's cache.
        download_bytes: What will be fetched.
        estimate_s: Seconds for all rounds: a guess.
        time_basis: What the guess rests on: `stored` results or `assumed` speeds.
    """

    device: str
    model: str
    quantization: str | None
    engine: str
    file_bpw: float | None
    file_bytes: int | None
    memory_bytes: int | None
    fits: bool | None
    reason: str
    workload: str
    prompt_tokens: int
    output_tokens: int
    depth_tokens: int
    settings: dict[str, Scalar]
    needed_bytes: int | None
    kv_bytes: int | None
    available_bytes: int
    disk_bytes: int
    download_bytes: int
    estimate_s: float | None
    time_basis: str | None

    @classmethod
    def of(cls, device: Device, forecast: Forecast, guess: Estimate | None) -> "Row":
        """The row of a forecast."""
        request, engine = forecast.candidate.request, forecast.candidate.engine
        workload, model, memory = forecast.candidate.workload, forecast.model, forecast.memory
        return cls(
            device=device.name,
            model=request.name,
            quantization=model.quantization if model else request.quantization,
            engine=engine.name,
            file_bpw=model.file_bpw if model else None,
            file_bytes=model.file_bytes if model else None,
            memory_bytes=memory.peak_bytes if memory else None,
            fits=None if forecast.failure else plan.why_not(forecast) is None,
            reason=_reason(forecast),
            workload=workload.name,
            prompt_tokens=workload.prompt_tokens,
            output_tokens=workload.output_tokens,
            depth_tokens=workload.depth_tokens,
            settings=dict(engine.settings),
            needed_bytes=memory.needed_bytes if memory else None,
            kv_bytes=memory.kv_bytes if memory else None,
            available_bytes=forecast.available_bytes,
            disk_bytes=forecast.disk_bytes,
            download_bytes=forecast.download_bytes,
            estimate_s=guess.estimate_s if guess else None,
            time_basis=guess.basis if guess else None,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """What one device will need for everything that can run on it.

    Attributes:
        trials: The number of trials that can run, or of which nothing can be told.
        skipped: The number of those that cannot.
        disk_bytes: What will be written into its cache.
        download_bytes: What will be fetched.
        estimate_s: Seconds, one trial after another: a guess.
    """

    trials: int
    skipped: int
    disk_bytes: int
    download_bytes: int
    estimate_s: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Totals":
        """The totals of a device's rows; a file that several trials need counts once."""
        wanted = [row for row in rows if row.fits is not False]
        files = {(row.model, row.quantization): row for row in wanted}.values()
        return cls(
            trials=len(wanted),
            skipped=len(rows) - len(wanted),
            disk_bytes=sum(row.disk_bytes for row in files),
            download_bytes=sum(row.download_bytes for row in files),
            estimate_s=sum(row.estimate_s or 0.0 for row in wanted),
        )
