"""Loading small models with the real engines, for the tests of OpenVINO."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odllm_agent import engines
from odllm_agent.contract import Engine, ModelFile, ModelRequest, Quantization, Source
from odllm_agent.engines.base import Session
from odllm_agent.engines.settings import check_settings
from odllm_agent.models import Cache, prepare

PLENTY = 10**12
CONTEXT = 256
# Without them both engines round keys, values and activations, each in its own way; and with bf16,
# one thread and AMX, OpenVINO 2026.4.1 dies of most models in F16 (openvino #33300).
EXACT: dict[str, int | str] = {"inference_precision": "f32", "kv_cache_precision": "f32"}


def described(path: Path) -> ModelFile:
    """A model file or folder, as a trial gets it."""
    request = ModelRequest(path.stem, Source.FILE, str(path))
    return prepare(request, Cache.of_this_device(), PLENTY)


def reference(quantization: str) -> ModelFile:
    """The smallest reference model."""
    name = "reference-1.6M"
    request = ModelRequest(name, Source.REFERENCE, name, Quantization(quantization))
    return prepare(request, Cache.of_this_device(), PLENTY)


def asked(name: str = "openvino", **settings: int | str) -> Engine:
    """An engine with one thread."""
    checked = check_settings(name, {"threads": 1, **settings})
    return Engine(name, engines.versions()[name], checked)


def load(model: ModelFile, context_tokens: int = CONTEXT, /, **settings: int | str) -> Session:
    """A session of OpenVINO that rounds nothing unless told to."""
    return engines.load(asked("openvino", **(EXACT | settings)), model, context_tokens)


def last_logits(session: Session) -> NDArray[np.float32]:
    """The last row of what the last run gave."""
    last: NDArray[np.float32] = session._answered()[-1].copy()  # type: ignore[attr-defined]
    return last
