"""What an experiment will need: a row per trial, and totals per device."""

from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.contract import Device, Forecast, Scalar
from odllm_agent.failures import last_words
from odllm_agent.trials.context import ContextUse
from odllm_controller.planning import plan
from odllm_controller.planning.estimate import Estimate


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
        remedy: What to do about it, where that is known.
        last_words: The last lines of the engine's log where it failed.
        context_reason: What of it goes beyond the context that the model was made for, or `""`.
        workload: The workload's name.
        prompt_tokens: Tokens handed over in one go.
        output_tokens: Tokens decoded one after another.
        depth_tokens: Tokens in the context before.
        model_context_tokens: The longest context that the model was made for.
        settings: Every setting of the engine.
        needed_bytes: The part of the memory that must stay; it decides whether the trial fits.
        kv_bytes: The part of it that is the KV cache.
        available_bytes: The memory that the device has free.
        disk_bytes: What will be written into the device's cache, what is fetched included.
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
    remedy: str
    last_words: tuple[str, ...]
    context_reason: str
    workload: str
    prompt_tokens: int
    output_tokens: int
    depth_tokens: int
    model_context_tokens: int | None
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
        obstacle = plan.why_not(forecast, device)
        failure = None if obstacle else forecast.failure
        return cls(
            device=device.label,
            model=model.name if model else request.name,
            quantization=model.quantization if model else request.quantization,
            engine=engine.name,
            file_bpw=model.file_bpw if model else None,
            file_bytes=model.file_bytes if model else None,
            memory_bytes=memory.peak_bytes if memory else None,
            fits=False if obstacle else None if failure else True,
            reason=obstacle or (failure.message if failure else forecast.reason),
            remedy=failure.remedy if failure else "",
            last_words=tuple(last_words(failure)) if failure else (),
            context_reason=ContextUse.of_workload(model, workload).reason if model else "",
            workload=workload.name,
            prompt_tokens=workload.prompt_tokens,
            output_tokens=workload.output_tokens,
            depth_tokens=workload.depth_tokens,
            model_context_tokens=model.context_tokens if model else None,
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
    """What one device will need for everything that can run on it, or may.

    Attributes:
        trials: The number of trials that can run.
        unknown: The number of those of which nothing can be told.
        skipped: The number of those that cannot.
        disk_bytes: What will be written into its cache.
        download_bytes: What will be fetched.
        estimate_s: Seconds, one trial after another: a guess.
    """

    trials: int
    unknown: int
    skipped: int
    disk_bytes: int
    download_bytes: int
    estimate_s: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Totals":
        """The totals of a device's rows; a file that several trials need counts once.

        So does what is fetched for a model, from which all of its types are made.
        """
        wanted = [row for row in rows if row.fits is not False]
        files = {(row.model, row.quantization): row for row in wanted}.values()
        download_bytes = sum({row.model: row.download_bytes for row in files}.values())
        return cls(
            trials=sum(row.fits is True for row in rows),
            unknown=sum(row.fits is None for row in rows),
            skipped=len(rows) - len(wanted),
            disk_bytes=sum(row.disk_bytes - row.download_bytes for row in files) + download_bytes,
            download_bytes=download_bytes,
            estimate_s=sum(row.estimate_s or 0.0 for row in wanted),
        )
