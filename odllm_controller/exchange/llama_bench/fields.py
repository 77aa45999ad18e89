"""llama-bench's fields: their types, and which of them say what a test is.

Its five forms write the same value as a switch, a number or a text. So values are compared in one
spelling, and every field tells tests apart, known here or not, but for figures, samples and the
time of the test. A text is a number only if that is spelt so: the versions 6.1 and 6.10 are two.
"""

import json
import re
from collections.abc import Mapping

_TEXTS = frozenset(
    {
        *("build_commit", "cpu_info", "gpu_info", "backends", "model_filename", "model_type"),
        *("engine_build", "model_sha256", "trial_id"),
        *(
            "cpu_mask",
            "type_k",
            "type_v",
            "split_mode",
            "devices",
            "tensor_split",
            "size",
            "params",
        ),
        *("tensor_buft_overrides", "load_mode", "lazy_mode", "test_time"),
    }
)
_SWITCHES = frozenset(
    {
        *("cuda", "metal", "vulkan", "kompute", "opencl", "sycl", "rpc", "gpu_blas", "blas"),
        *("cpu_strict", "embeddings", "f16_kv", "low_vram", "mul_mat_q", "no_host"),
        *("no_kv_offload", "repack", "use_direct_io", "use_mmap"),
    }
)
_OFF_ON = {"0": False, "1": True, "false": False, "true": True}
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_FRACTION = re.compile(r"-?\d{1,15}\.\d{1,17}(?:[eE][+-]?\d{1,3})?")

AVERAGES = ("avg_ns", "stddev_ns", "avg_ts", "stddev_ts")
"""The figures that every form tells, but for Markdown."""

TIME = "test_time"
_FIGURE = re.compile(r"(?:avg|stddev|samples)_(?:\w+_)?(?:[num]?[sjw]|ts)")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.DOTALL)
# Of the test, and not of a build or a driver.
_OF_TEST = re.compile(
    r"started|ended|(?:(?:test|run|bench|start|end)(?:ed)?_)?(?:time|timestamp|date|at)"
)
# Written with two decimals, whatever they are.
_SHARES = "tensor_split"


def typed(told: Mapping[str, str | None]) -> dict[str, object]:
    """What a form that knows texts alone tells, with numbers where they look like some."""
    return {
        name: text if text is None or name in _TEXTS else _typed(name, text)
        for name, text in told.items()
    }


def switched(told: Mapping[str, object]) -> dict[str, object]:
    """The same with switches that are on or off, whatever they are written as."""
    return {
        name: _OFF_ON.get(str(value).lower(), value) if name in _SWITCHES else value
        for name, value in told.items()
    }


def identity(told: Mapping[str, object]) -> dict[str, str]:
    """What tells a test from others, each value in one spelling; what is empty is not told."""
    spelt = {
        name: _spelt(_share(value) if name == _SHARES else value)
        for name, value in told.items()
        if not _is_figure(name, value)
    }
    return {name: value for name, value in spelt.items() if value}


def averages(told: Mapping[str, object]) -> dict[str, str]:
    """What tells a start of a test from others, in one spelling, whether it has samples or not."""
    names = AVERAGES if any(told.get(name) is not None for name in AVERAGES) else ("samples_ns",)
    return {name: _spelt(told.get(name)) for name in (*names, TIME)}


def _is_figure(name: str, value: object) -> bool:
    is_moment = isinstance(value, str) and bool(_MOMENT.fullmatch(value))
    is_of_test = is_moment and bool(_OF_TEST.fullmatch(name))
    return name == TIME or is_of_test or bool(_FIGURE.fullmatch(name))


def _share(value: object) -> object:
    return float(value) if isinstance(value, str) and _FRACTION.fullmatch(value) else value


def _typed(name: str, text: str) -> object:
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _FRACTION.fullmatch(text):
        return text
    number = float(text)
    return number if _FIGURE.fullmatch(name) or _spelt(number) == text else text


def _spelt(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case int() | float():
            return repr(int(value)) if value == value // 1 else repr(value)
        case str():
            return str(int(_OFF_ON[value.lower()])) if value.lower() in _OFF_ON else value
        case _:
            return json.dumps(value, sort_keys=True, default=str)
