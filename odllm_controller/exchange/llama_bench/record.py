"""A test of llama-bench, as any of its forms tells it in any version.

Fields come and go with llama-bench's versions and with its forks: what is not known is kept as a
setting, what is not needed may be missing, and what is needed is checked.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from odllm_agent.clock import NS_PER_S
from odllm_agent.contract import DeviceKind, Method, to_json
from odllm_agent.contract.bpw import bits_per_weight
from odllm_controller.exchange.figures import (
    SUBJECT_CHARACTERS,
    Figures,
    Moment,
    Row,
    Start,
    digest,
    refusal,
)
from odllm_controller.exchange.llama_bench.fields import averages, identity, switched
from odllm_controller.exchange.record_form import RecordForm

ENGINE = "llama-bench"

# Its own names for settings that ODLLM has too.
SETTINGS: Mapping[str, str] = {
    "n_threads": "threads",
    "n_batch": "batch_tokens",
    "n_ubatch": "ubatch_tokens",
    "type_k": "kv_type_k",
    "type_v": "kv_type_v",
    "n_gpu_layers": "gpu_layers",
    "flash_attn": "flash_attention",
    "use_mmap": "mmap",
    "repack": "repack",
}
BUILD = "engine_build"
"""The field for ODLLM's id of a build, which tells apart what is of one commit."""

OWN = (BUILD, "model_sha256", "seed", "trial_id")
"""The fields that ODLLM writes and llama-bench does not know, by the columns of `results`."""

FLASH_ATTENTION: Mapping[object, str] = {-1: "auto", 0: "off", 1: "on"}

# What says of which build, machine, model and size a test is, and not how it was run.
_OF_SUBJECT = frozenset(
    {
        *("build_commit", "build_number", *OWN, "cpu_info", "gpu_info"),
        *("model_filename", "model_type", "model_size", "model_n_params"),
        *("n_prompt", "n_gen", "n_depth"),
    }
)
# What was told of a test when rows were named by these fields alone.
_EARLIER_SETTINGS = (
    *("backends", "cpu_mask", "cpu_strict", "devices", "embeddings", "f16_kv", "lazy_mode"),
    *("load_mode", "low_vram", "main_gpu", "mul_mat_q", "n_cpu_moe", "no_host", "no_kv_offload"),
    *("no_op_offload", "poll", "split_mode", "tensor_buft_overrides", "tensor_split"),
    "use_direct_io",
)
# The end of a model's description, such as `qwen2 1.5B Q4_K - Medium` or `llama 7B mostly Q4_0`.
_TYPE = re.compile(
    r"(?P<name>.*?)\b(?:mostly |all )?(?P<type>B?F16|F32|I?Q\d\w*|TQ\d\w*|MXFP4|NVFP4)"
    r"(?: - (?P<size>Small|Medium|Large)| MoE| mix - [\d.]+ bpw| - [\d.]+ bpw.*)?$"
)
_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_NAMES = {"Q2_K_M": "Q2_K", "MXFP4": "MXFP4_MOE"}

Count: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]
Whole: TypeAlias = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
AtLeastOne: TypeAlias = Annotated[int, Field(ge=1, lt=2**31)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]


class Test(BaseModel):
    """What one test of llama-bench told.

    Attributes:
        build_commit: The commit of llama.cpp.
        build_number: The number of that commit.
        engine_build: How ODLLM knows the build, in what ODLLM itself has written.
        model_sha256: The checksum of the model's file, likewise.
        seed: What the token ids were drawn from, likewise.
        trial_id: Which trial it is of, likewise.
        cpu_info: The name of the processor.
        gpu_info: The name of the graphics cards.
        model_filename: The path of the model.
        model_type: Architecture, size and type of the weights.
        model_size: Bytes of all tensors.
        model_n_params: The number of weights.
        n_prompt: Tokens handed over in one go.
        n_gen: Tokens one after another.
        n_depth: Tokens already in the context.
        n_threads: The threads that computed.
        n_batch: Tokens of a batch.
        n_ubatch: Tokens that are computed at once.
        n_gpu_layers: Layers on a graphics card; -1 leaves it to llama.cpp.
        n_cpu_moe: Layers whose experts stay with the processor.
        main_gpu: The graphics card that has what is not split.
        poll: How eagerly threads wait, in percent.
        test_time: When it was begun.
        avg_ns: Mean nanoseconds.
        stddev_ns: Their standard deviation.
        avg_ts: Mean tokens per second.
        stddev_ts: Their standard deviation.
        samples_ns: Nanoseconds of each repeat.
        samples_ts: Tokens per second of each repeat.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=()
    )

    build_commit: str = ""
    build_number: Count | None = None
    engine_build: str | None = None
    model_sha256: str | None = None
    seed: Whole | None = None
    trial_id: str | None = None
    cpu_info: str = ""
    gpu_info: str = ""
    model_filename: Annotated[str, Field(min_length=1)]
    model_type: str = ""
    model_size: Count | None = None
    model_n_params: Count | None = None
    n_prompt: Count
    n_gen: Count
    n_depth: Count = 0
    n_threads: AtLeastOne | None = None
    n_batch: AtLeastOne | None = None
    n_ubatch: AtLeastOne | None = None
    n_gpu_layers: Whole | None = None
    n_cpu_moe: Count | None = None
    main_gpu: Whole | None = None
    poll: Count | None = None
    test_time: Annotated[Moment, Field(strict=False)] | None = None
    avg_ns: NotNegative | None = None
    stddev_ns: NotNegative | None = None
    avg_ts: Positive | None = None
    stddev_ts: NotNegative | None = None
    samples_ns: list[Positive] = []
    samples_ts: list[Positive] = []

    @property
    def build(self) -> str:
        """The version of llama.cpp, as people write it."""
        return "" if self.build_number is None else f"b{self.build_number}"

    @property
    def model(self) -> str:
        """The name of the model: its file's, without the type of its weights."""
        # A path may come from a system with other separators.
        stem = PurePath(self.model_filename.replace("\\", "/")).name.removesuffix(".gguf")
        type_ = self.quantization
        if type_ and stem.lower().endswith(type_.lower()):
            return stem[: -len(type_)].rstrip("-_.") or stem
        return stem

    @property
    def quantization(self) -> str | None:
        """The type of its weights by llama.cpp's name, or `None` if it is not told."""
        return model_of(self.model_type)[1]


def figures(told: object, file: str, device: str | None = None) -> Figures:
    """A test as a row of `results`.

    Args:
        told: What a file has of it.
        file: The file's name.
        device: The device's name, where the user told it.

    Raises:
        ValueError: It is no test, or times prompt and output together, or has no figure.
    """
    if not isinstance(told, Mapping):
        raise ValueError("it is no test of llama-bench")
    known = {name: value for name, value in switched(told).items() if value is not None}
    _check_texts(known)
    try:
        test = Test.model_validate(known)
    except ValidationError as error:
        raise ValueError(refusal(error)) from error
    _check(test)
    device = device or _device(test)
    start = _start(known, test, device, told)
    return _figures(test, _described(test, file, device, _settings(known)), start)


def model_of(description: str) -> tuple[str, str | None]:
    """The name and the type of a model that is described as in `qwen2 1.5B Q4_K - Medium`."""
    found = _TYPE.fullmatch(description)
    if not found:
        return description, None
    size = f"_{found['size'][0]}" if found["size"] else ""
    type_ = "IQ3_M" if " mix - " in description else f"{found['type']}{size}"
    return found["name"].strip() or description, _NAMES.get(type_, type_)


def _check_texts(told: Row) -> None:
    for name, value in told.items():
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{name}: it holds a character 0")
        if isinstance(value, str) and _NO_CHARACTER.search(value):
            raise ValueError(f"{name}: it holds what is no character of its encoding")


def _check(test: Test) -> None:
    if bool(test.n_prompt) == bool(test.n_gen):
        told = f"{test.n_prompt} tokens of prompt and {test.n_gen} of output"
        raise ValueError(f"it times {told} in one: neither speed can be told of it")
    if not test.samples_ns and test.avg_ts is None:
        raise ValueError("it has no figure: both samples_ns and avg_ts are missing")


def _device(test: Test) -> str:
    """The processors' names; llama-bench knows no other name of a machine."""
    name = " + ".join(part for part in (test.cpu_info, test.gpu_info) if part)
    if not name:
        raise ValueError("cpu_info and gpu_info are missing: name the device with --device")
    return name


def _start(known: Row, test: Test, device: str, told: Mapping[str, object]) -> Start:
    """One start of llama-bench: of which test it is, and where it was kept earlier."""
    subject = {**identity(known), "device": device}
    earlier = digest(told)
    named = _earlier_subject(test, told, device)
    of_start = {} if test.samples_ns else {"start": earlier}
    return Start(
        subject=digest(subject)[:SUBJECT_CHARACTERS],
        id=digest({"subject": subject, "averages": averages(known)}),
        earlier=(digest(named | of_start), earlier),
    )


def _figures(test: Test, row: Row, start: Start) -> Figures:
    row |= {"row_id": start.row_id, "trial_id": start.row_id}
    if not test.samples_ns:
        return Figures(row | _averages(test), start=start)
    samples = tuple(
        {
            "row_id": start.row_id,
            "round": start.id,
            "repeat": repeat,
            "window_s": sample_ns / NS_PER_S,
            "started_at": test.test_time,
        }
        for repeat, sample_ns in enumerate(test.samples_ns)
    )
    return Figures(row, samples, start)


def _settings(told: Mapping[str, object]) -> Row:
    """How it was run, by ODLLM's names where it has them."""
    spoken_for = identity(told).keys() - _OF_SUBJECT
    plain = {
        SETTINGS.get(name, name): value
        for name, value in told.items()
        if name in spoken_for and isinstance(value, bool | int | float | str)
    }
    return _with_flash_attention(plain)


def _with_flash_attention(settings: Row) -> Row:
    told = settings.get("flash_attention")
    if isinstance(told, int | str) and told in FLASH_ATTENTION:
        return settings | {"flash_attention": FLASH_ATTENTION[told]}
    return settings


def _earlier_subject(test: Test, told: Mapping[str, object], device: str) -> Row:
    """What named a row while fields that were not known were left aside."""
    plain = {
        SETTINGS.get(name, name): told[name]
        for name in (*SETTINGS, *_EARLIER_SETTINGS)
        if isinstance(told.get(name), bool | int | float | str)
    }
    return {
        "device": device,
        "file": test.model_filename,
        "type": test.model_type,
        "bytes": test.model_size,
        "weights": test.model_n_params,
        "build": [test.build_commit, test.build_number],
        "settings": _with_flash_attention(plain),
        "tokens": [test.n_prompt, test.n_gen, test.n_depth],
    }


def _described(test: Test, file: str, device: str, settings: Row) -> Row:
    """All of the row but its figures."""
    version = f"{test.build} {test.build_commit}".strip()
    n_bytes, n_weights = test.model_size, test.model_n_params
    return {
        "origin": f"{ENGINE} {test.build or test.build_commit or 'of unknown version'} ({file})",
        "device": device,
        "device_id": digest({"tool": ENGINE, "device": device}),
        "device_kind": str(DeviceKind.REAL),
        "engine": ENGINE,
        "engine_version": version or None,
        "engine_build": test.engine_build,
        "model_sha256": test.model_sha256,
        "seed": test.seed,
        "model": test.model,
        "quantization": test.quantization,
        "n_weights": test.model_n_params,
        "file_bpw": bits_per_weight(n_bytes, n_weights) if n_bytes and n_weights else None,
        "workload": ENGINE,
        "prompt_tokens": test.n_prompt,
        "output_tokens": test.n_gen,
        "depth_tokens": test.n_depth,
        "settings": to_json(settings),
        "threads": test.n_threads,
        "status": "done",
        "repeats": 1,
        "rounds": 1,
        "energy_method": str(Method.UNAVAILABLE),
        "energy_reason": "llama-bench meters no energy",
        "memory_reason": "llama-bench does not tell memory",
        "run_started_at": test.test_time,
    }


def _averages(test: Test) -> Row:
    """The figures of a test that tells no repeats."""
    speed = {"tok_s": test.avg_ts, "tok_s_mean": test.avg_ts}
    phase = "prefill" if test.n_prompt else "decode"
    found: Row = {f"{phase}_{name}": value for name, value in speed.items()}
    if test.n_gen and test.avg_ts:
        found |= {"tpot_s": 1 / test.avg_ts, "tpot_s_mean": 1 / test.avg_ts}
    return found | {"interval_reason": "its file tells a mean and no repeats"}


FORM = RecordForm(
    what="a test of llama-bench",
    fields=frozenset({"n_prompt", "n_gen", "avg_ts", "samples_ns", "build_commit"}),
    example={
        "cpu_info": "CPU",
        "model_filename": "m.gguf",
        "n_prompt": 512,
        "n_gen": 0,
        "avg_ts": 98.5,
    },
    reader=lambda file: partial(figures, file=file.name, device=file.device),
)
"""What llama-bench tells of one test."""
