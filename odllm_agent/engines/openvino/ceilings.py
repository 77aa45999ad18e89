"""How fast OpenVINO multiplies activations with weights of a type, apart from any model."""

from typing import Any

import numpy as np
import openvino
from openvino import opset13

from odllm_agent.contract import Engine
from odllm_agent.engines.ceiling_passes import OPERATIONS, TOKENS, WIDTH, best_per_s
from odllm_agent.engines.openvino.error import last_line
from odllm_agent.engines.openvino.model import properties
from odllm_agent.engines.settings import OpenVinoSettings, check_settings
from odllm_agent.errors import EngineError

METHOD = f"OpenVINO's product of a matrix of {WIDTH} x {WIDTH} weights with {TOKENS} tokens"

_GROUP = 32  # the weights that share a scale in what Q4_0 and Q8_0 become
_FLOATS = frozenset({"f32", "f16", "bf16"})
_ZERO_POINTED = frozenset({"u4", "u8"})


def operations_per_s(engine: Engine, type_name: str, budget_s: float) -> float:
    """Operations per second of the quickest product.

    Args:
        engine: OpenVINO with its settings.
        type_name: OpenVINO's name of the type of the weights.
        budget_s: About how long to try.

    Raises:
        EngineError: OpenVINO multiplies no such weights.
        SettingError: A setting is unknown.
    """
    values: dict[str, Any] = dict(check_settings(engine.name, engine.settings))
    try:
        request = _request(type_name, OpenVinoSettings(**values))
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO multiplies no weights of type {type_name}: {last_line(error)}"
        ) from error

    def run() -> None:
        request.start_async()
        request.wait()

    return best_per_s(OPERATIONS, run, budget_s)


def _request(type_name: str, settings: OpenVinoSettings) -> openvino.InferRequest:
    tokens = opset13.parameter([TOKENS, WIDTH], np.float32)
    product = opset13.matmul(tokens, _weights(type_name), False, True)
    told = dict(properties(settings).values())
    model = openvino.Model([product], [tokens])
    request = openvino.Core().compile_model(model, settings.device, told).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.ones((TOKENS, WIDTH), np.float32)))
    return request


def _weights(type_name: str) -> openvino.Node:
    """A matrix as openvino-genai's reader writes it, integers with a scale for each group."""
    kind = getattr(openvino.Type, type_name, None)
    if kind is None:
        raise EngineError(f"OpenVINO has no type {type_name}")
    if type_name in _FLOATS:
        matrix = opset13.constant(np.ones((WIDTH, WIDTH), np.float32), kind)
        return opset13.convert(matrix, openvino.Type.f32)
    groups, one_each = (WIDTH, WIDTH // _GROUP, _GROUP), (WIDTH, WIDTH // _GROUP, 1)
    halves = opset13.convert(opset13.constant(np.ones(groups, np.uint8), kind), openvino.Type.f16)
    if type_name in _ZERO_POINTED:
        zeros = opset13.constant(np.zeros(one_each, np.uint8), kind)
        halves = opset13.subtract(halves, opset13.convert(zeros, openvino.Type.f16))
    scales = opset13.constant(np.ones(one_each, np.float16), openvino.Type.f16)
    matrix = opset13.reshape(opset13.multiply(halves, scales), [WIDTH, WIDTH], False)
    return opset13.convert(matrix, openvino.Type.f32)
