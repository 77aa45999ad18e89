"""A test of llama-bench, as its JSON, JSON lines and SQL tell it in any version.

Fields come and go with llama-bench's versions: what is not known is left aside, what is not needed
may be missing, and what is needed is checked.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from odllm_agent.clock import NS_PER_S
from odllm_agent.contract import DeviceKind, Method, to_json
from odllm_controller.exchange.figures import Figures, Moment, Row, digest, refusal

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
FLASH_ATTENTION: Mapping[object, str] = {-1: "auto", 0: "off", 1: "on"}
_FURTHER_SETTINGS = (
    "backends",
    "cpu_mask",
    "cpu_strict",
    "devices",
    "embeddings",
    "f16_kv",
    "lazy_mode",
    "load_mode",
    "low_vram",
    "main_gpu",
    "mul_mat_q",
    "n_cpu_moe",
    "no_host",
    "no_kv_offload",
    "no_op_offload",
    "poll",
    "split_mode",
    "tensor_buft_overrides",
    "tensor_split",
    "use_direct_io",
)
# The end of a model's description, such as `qwen2 1.5B Q4_K - Medium` or `llama 7B mostly Q4_0`.
_TYPE = re.compile(
    r".*\b(?:mostly |all )?(?P<type>B?F16|F32|I?Q\d\w*|TQ\d\w*|MXFP4|NVFP4)"
    r"(?: - (?P<size>Small|Medium|Large)| MoE| mix - [\d.]+ bpw| - [\d.]+ bpw.*)?$"
)
_NAMES = {"Q2_K_M": "Q2_K", "MXFP4": "MXFP4_MOE"}

Count: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]


class Test(BaseModel):
    """What one test of llama-bench told.

    Attributes:
        build_commit: The commit of llama.cpp.
        build_number: The number of that commit.
        cpu_info: The name of the processor.
        gpu_info: The name of the graphics cards.
        model_filename: The path of the model.
        model_type: Architecture, size and type of the weights.
        model_size: Bytes of all tensors.
        model_n_params: The number of weights.
        n_prompt: Tokens handed over in one go.
        n_gen: Tokens one after another.
        n_depth: Tokens already in the context.
        test_time: When it was begun.
        avg_ts: Mean tokens per second.
        samples_ns: Nanoseconds of each repeat.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=()
    )

    build_commit: str = ""
    build_number: int | None = None
    cpu_info: str = ""
    gpu_info: str = ""
    model_filename: Annotated[str, Field(min_length=1)]
    model_type: str = ""
    model_size: Count | None = None
    model_n_params: Count | None = None
    n_prompt: Count
    n_gen: Count
    n_depth: Count = 0
    test_time: Annotated[Moment, Field(strict=False)] | None = None
    avg_ts: Positive | None = None
    samples_ns: list[Positive] = []

    @field_validator("build_commit", "cpu_info", "gpu_info", "model_filename", "model_type")
    @classmethod
    def _storable(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("it holds a character 0")
        return text

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
        found = _TYPE.fullmatch(self.model_type)
        if not found:
            return None
        size = f"_{found['size'][0]}" if found["size"] else ""
        name = "IQ3_M" if " mix - " in self.model_type else f"{found['type']}{size}"
        return _NAMES.get(name, name)

    @property
    def settings(self) -> dict[str, Any]:
        """What llama.cpp was told, by ODLLM's names where it has them."""
        told = self.model_extra or {}
        found = {
            SETTINGS.get(name, name): told[name]
            for name in (*SETTINGS, *_FURTHER_SETTINGS)
            if isinstance(told.get(name), bool | int | float | str)
        }
        if found.get("flash_attention") in FLASH_ATTENTION:
            found["flash_attention"] = FLASH_ATTENTION[found["flash_attention"]]
        return found


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
    try:
        test = Test.model_validate({k: v for k, v in told.items() if v is not None})
    except ValidationError as error:
        raise ValueError(refusal(error)) from error
    _check(test)
    return _figures(test, file, device or _device(test), digest(told))


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


def _figures(test: Test, file: str, device: str, start: str) -> Figures:
    row = _described(test, file, device)
    # Starts of the same test are rounds of one trial. Averages cannot be taken together like that.
    row_id = digest(_subject(test, device) | ({} if test.samples_ns else {"start": start}))
    row |= {"row_id": row_id, "trial_id": row_id}
    if not test.samples_ns:
        return Figures(row | _averages(test))
    samples = tuple(
        {
            "row_id": row_id,
            "round": start,
            "repeat": repeat,
            "window_s": sample_ns / NS_PER_S,
            "started_at": test.test_time,
        }
        for repeat, sample_ns in enumerate(test.samples_ns)
    )
    return Figures(row, samples)


def _subject(test: Test, device: str) -> Row:
    return {
        "device": device,
        "file": test.model_filename,
        "type": test.model_type,
        "bytes": test.model_size,
        "weights": test.model_n_params,
        "build": [test.build_commit, test.build_number],
        "settings": test.settings,
        "tokens": [test.n_prompt, test.n_gen, test.n_depth],
    }


def _described(test: Test, file: str, device: str) -> Row:
    """All of the row but its figures."""
    version = f"{test.build} {test.build_commit}".strip()
    bits = 8 * test.model_size if test.model_size else None
    settings = test.settings
    return {
        "origin": f"{ENGINE} {test.build or test.build_commit or 'of unknown version'} ({file})",
        "device": device,
        "device_id": digest({"tool": ENGINE, "device": device}),
        "device_kind": str(DeviceKind.REAL),
        "engine": ENGINE,
        "engine_version": version or None,
        "model": test.model,
        "quantization": test.quantization,
        "n_weights": test.model_n_params,
        "file_bpw": bits / test.model_n_params if bits and test.model_n_params else None,
        "workload": ENGINE,
        "prompt_tokens": test.n_prompt,
        "output_tokens": test.n_gen,
        "depth_tokens": test.n_depth,
        "settings": to_json(settings),
        "threads": settings["threads"] if isinstance(settings.get("threads"), int) else None,
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
