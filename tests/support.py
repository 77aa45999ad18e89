"""Builders of contract values for the tests: each takes only what the test is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from odllm_agent.contract import (
    REPEATED,
    Baseline,
    Candidate,
    Ceiling,
    Ceilings,
    CeilingsOrder,
    Cooldown,
    Device,
    DeviceKind,
    DeviceState,
    Energy,
    Engine,
    EngineBuild,
    Failure,
    Finished,
    Forecast,
    HeldMemory,
    Loaded,
    Memory,
    MeterReport,
    Method,
    ModelFile,
    ModelRequest,
    PathTest,
    Phase,
    QualityCheck,
    QualityResult,
    Quantization,
    Reading,
    Repeat,
    RepeatPolicy,
    RoundResult,
    Score,
    Skip,
    Source,
    Stopped,
    Trial,
    Work,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.offline.assignment import FORMAT, Assignment, PlannedExperiment
from odllm_agent.offline.logbook import Opening

STARTED = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)

BPW = {
    "F16": 16.0,
    "Q8_0": 8.5,
    "Q5_K_M": 5.7,
    "Q5_0": 5.5,
    "Q4_K_M": 4.9,
    "Q4_0": 4.5,
    "Q3_K_M": 3.9,
    "Q2_K": 3.0,
}


def device(name: str = "laptop", **changes: object) -> Device:
    """A laptop with one engine and no energy counters."""
    fields: dict[str, object] = {
        "id": f"id-of-{name}",
        "name": name,
        "kind": DeviceKind.REAL,
        "system": "Linux 6.1",
        "cpu": "Example 9000",
        "physical_cores": 8,
        "logical_cores": 16,
        "ram_bytes": 16 * 2**30,
        "python_version": "3.11.7",
        "odllm_version": "0.1.0",
        "engines": {"llama_cpp": "0.3.36+abc1234"},
        "meters": (
            MeterReport("rapl", (), Method.UNAVAILABLE, "no powercap here", "use a real machine"),
        ),
    }
    return Device(**(fields | changes))  # type: ignore[arg-type]


def build(system: str = "AVX2 = 1", *tests: PathTest) -> EngineBuild:
    """A build by GCC whose libraries follow from what it says of itself."""
    return EngineBuild(system, "GCC: (Debian) 12.2.0", "-O3", f"sha256 of {system}", tests)


def model_file(
    name: str = "reference-1.6M", quantization: str = "Q4_0", n_weights: int = 1_600_000
) -> ModelFile:
    """A file whose checksum follows from its name and type."""
    weight_bytes = int(n_weights * BPW[quantization] / 8)
    return ModelFile(
        name=name,
        quantization=quantization,
        sha256=f"{name}-{quantization}",
        path=f"/models/{name}-{quantization}.gguf",
        file_bytes=weight_bytes + 40_000,
        weight_bytes=weight_bytes,
        n_weights=n_weights,
        architecture="qwen2",
        context_tokens=256,
    )


def engine(**settings: int | str) -> Engine:
    """The llama.cpp engine with two threads unless told otherwise."""
    return Engine("llama_cpp", "0.3.36+abc1234", {"threads": 2, **settings})


def trial(
    model: ModelFile | None = None, device_id: str = "id-of-laptop", **settings: int | str
) -> Trial:
    """A trial of a short workload."""
    return Trial(
        device_id=device_id,
        model=model or model_file(),
        engine=engine(**settings),
        workload=Workload("short", prompt_tokens=128, output_tokens=64),
    )


def state(**changes: object) -> DeviceState:
    """A quiet device on mains."""
    fields: dict[str, object] = {
        "on_battery": None,
        "governor": "performance",
        "frequency_hz": 3.0e9,
        "temperature_c": 50.0,
        "throttle_count": 0,
        "available_bytes": 8 * 2**30,
        "swapped_bytes": 0,
        "busy_s": 100.0,
        "own_cpu_s": 1.0,
        "quota_throttle_count": 0,
    }
    return DeviceState(**(fields | changes))  # type: ignore[arg-type]


def no_energy(reason: str = "no powercap here") -> tuple[Energy, ...]:
    """What a device without counters reports for both phases."""
    return tuple(
        Energy(phase, "package", "rapl", Method.UNAVAILABLE, None, reason) for phase in REPEATED
    )


def energy(phase: Phase, energy_j: float, **changes: object) -> Energy:
    """Measured package energy of a second, give or take a tenth."""
    fields: dict[str, object] = {"window_s": 1.0, "uncertainty_j": 0.1 * energy_j}
    return Energy(
        phase,
        "package",
        "rapl",
        Method.MEASURED,
        energy_j,
        **(fields | changes),  # type: ignore[arg-type]
    )


def some_energy(prefill_j: float, decode_j: float) -> tuple[Energy, ...]:
    """Measured package energy for both phases, in windows of 0.1 and 0.64 s."""
    return (
        energy(Phase.PREFILL, prefill_j, window_s=0.1),
        energy(Phase.DECODE, decode_j, window_s=0.64),
    )


def repeat(
    index: int = 1, *, prefill_s: float = 0.1, token_s: float = 0.01, **changes: object
) -> Repeat:
    """A measured repeat whose 64 tokens all took the same time."""
    fields: dict[str, object] = {
        "index": index,
        "warmup": False,
        "started_at": STARTED + timedelta(seconds=index),
        "prefill_s": prefill_s,
        "ttft_s": prefill_s * 1.01,
        "token_s": (token_s,) * 64,
        "energy": no_energy(),
        "before": state(),
        "after": state(),
    }
    return Repeat(**(fields | changes))  # type: ignore[arg-type]


def round_result(
    of: Trial | None = None, round_index: int = 0, repeats: tuple[Repeat, ...] | None = None
) -> RoundResult:
    """A round that ended well, with one warm-up and three measured repeats."""
    measured = repeats or tuple(repeat(index) for index in (1, 2, 3))
    return RoundResult(
        trial=of or trial(),
        round=round_index,
        started_at=STARTED,
        wall_s=2.0,
        loaded=Loaded(
            load_s=0.5,
            runtime_bpw=4.5,
            system="AVX2 = 1",
            energy=(
                Energy(Phase.LOAD, "package", "rapl", Method.UNAVAILABLE, None, "no powercap here"),
            ),
        ),
        repeats=(repeat(0, warmup=True), *measured),
        finished=Finished(Stopped.CAP, 0.03, peak_rss_bytes=90_000_000, held=held_memory()),
    )


def held_memory(**changes: object) -> HeldMemory:
    """What a worker held whose every part is told."""
    fields: dict[str, object] = {
        "rss_bytes": 85_000_000,
        "mapped_bytes": 5_000_000,
        "anonymous_bytes": 60_000_000,
        "swapped_bytes": 0,
        "loaded_bytes": 4_000_000,
        "kv_bytes": 3_000_000,
        "compute_bytes": 2_000_000,
    }
    return HeldMemory(**(fields | changes))  # type: ignore[arg-type]


def failed_round(of: Trial | None = None, round_index: int = 0) -> RoundResult:
    """A round whose worker was killed after its warm-up."""
    return RoundResult(
        trial=of or trial(),
        round=round_index,
        started_at=STARTED,
        wall_s=1.0,
        loaded=Loaded(load_s=0.5, runtime_bpw=4.5, system="AVX2 = 1"),
        repeats=(repeat(0, warmup=True),),
        failure=Failure("WorkerDied", "the worker was killed", "try again", signal="SIGKILL"),
    )


def forecast(model: ModelFile | None = None, of: Engine | None = None, **parts: int) -> Forecast:
    """A forecast for a laptop with 12 GB free, of a worker that needs 60 MB but for its weights."""
    foreseen = model or model_file()
    request = ModelRequest(
        foreseen.name, Source.REFERENCE, foreseen.name, Quantization(foreseen.quantization)
    )
    fields = {
        "baseline_bytes": 50_000_000,
        "mapped_bytes": foreseen.weight_bytes,
        "unread_bytes": 0,
        "loaded_bytes": 0,
        "kv_bytes": 4_000_000,
        "compute_bytes": 6_000_000,
        "header_bytes": 40_000,
    }
    return Forecast(
        candidate=Candidate(request, of or engine(), Workload("short", 128, 64)),
        model=foreseen,
        disk_bytes=foreseen.file_bytes,
        memory=Memory(**(fields | parts)),
        available_bytes=12 * 10**9,
    )


def skip(
    of: Trial | None = None, reason: str = "OpenVINO's GGUF reader knows no tensor type Q2_K"
) -> Skip:
    """A trial that is not tried."""
    left_out = of or trial()
    return Skip(left_out.device_id, left_out.model, left_out.engine, left_out.workload, reason)


def quality_check(of: ModelFile | None = None, **changes: object) -> QualityCheck:
    """Perplexity on the reference text."""
    reading = Reading("reference", "text", 256, None, ("perplexity",))
    fields: dict[str, object] = {
        "device_id": "id-of-laptop",
        "model": of or model_file(),
        "engine": engine(),
        "reading": reading,
    }
    return QualityCheck(**(fields | changes))  # type: ignore[arg-type]


def quality_result(of: ModelFile | None = None, value: float | None = 12.5) -> QualityResult:
    """A perplexity on the reference text."""
    return QualityResult(quality_check(of), (Score("perplexity", value, 0.2, 10_000),), wall_s=1.0)


def worked(result: RoundResult, *work: Work, no_work: str = "") -> RoundResult:
    """The round with what its windows had to do."""
    assert result.loaded is not None
    return replace(result, loaded=replace(result.loaded, work=work, no_work=no_work))


def ceilings(of: Engine | None = None, /, *, hours: float = 0, **per_s: float | None) -> Ceilings:
    """What a laptop does at most, told some hours after the first run began."""
    order = CeilingsOrder("id-of-laptop", of or engine(), tuple(per_s))
    found = tuple(
        Ceiling(name, value, "by formula", "" if value else "no room")
        for name, value in per_s.items()
    )
    return Ceilings(order, STARTED + timedelta(hours=hours), found)


def baseline(round_index: int = 0, idle_w: float | None = None, **changes: object) -> Baseline:
    """A device at rest for five seconds just before the first repeat, metered or not."""
    idle = energy(Phase.IDLE, 5 * idle_w, window_s=5.0) if idle_w else None
    fields: dict[str, object] = {
        "device_id": "id-of-laptop",
        "round": round_index,
        "started_at": STARTED - timedelta(seconds=6),
        "wall_s": 5.0,
        "own_cores": 0.04,
        "own_bytes": 200_000_000,
        "busy_cores": 0.1,
        "energy": (idle,) if idle else (),
    }
    return Baseline(**(fields | changes))  # type: ignore[arg-type]


def assignment(*requests: ModelRequest, **changes: object) -> Assignment:
    """Two rounds of a short workload on one thread, without quality, ceilings or a rest."""
    fields: dict[str, object] = {
        "format": FORMAT,
        "experiment": PlannedExperiment(
            "sweep", "name: sweep\n", 1, {"odllm": "0.1.0"}, None, STARTED
        ),
        "device": device(),
        "requests": requests,
        "engines": (engine(**check_settings("llama_cpp", {"threads": 1})),),  # type: ignore[arg-type]
        "workloads": (Workload("short", prompt_tokens=8, output_tokens=4),),
        "skips": (),
        "rounds": 2,
        "rounds_at_most": 2,
        "policy": RepeatPolicy(warmups=1, at_least=1, at_most=1),
        "cooldown": Cooldown(),
        "meters": (),
        "idle_s": 0.0,
        "deadline_s": 60.0,
        "reading": None,
        "exams": (),
        "ceilings": False,
        "known_ceilings": (),
        "estimate_s": 1.0,
    }
    return Assignment(**(fields | changes))  # type: ignore[arg-type]


def opening(asked: Assignment | None = None, **changes: object) -> Opening:
    """The beginning of a run on a laptop."""
    carried_out = asked or assignment()
    fields: dict[str, object] = {
        "format": FORMAT,
        "assignment_sha256": "0" * 64,
        "started_at": STARTED,
        "command": "odllm-agent run trials.json --out results.jsonl",
        "experiment": carried_out.experiment,
        "device": carried_out.device,
        "skips": carried_out.skips,
    }
    return Opening(**(fields | changes))  # type: ignore[arg-type]
