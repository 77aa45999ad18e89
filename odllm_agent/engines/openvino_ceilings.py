"""How fast OpenVINO multiplies activations with weights of a type, apart from any model."""

from typing import Any

import numpy as np
import openvino
from openvino import opset13

from odllm_agent.contract import Engine
from odllm_agent.engines.openvino_error import last_line
from odllm_agent.engines.openvino_model import properties
from odllm_agent.engines.passes import best_per_s
from odllm_agent.errors import EngineError
from odllm_agent.settings import OpenVinoSettings, check_settings

METHOD = "OpenVINO's product of a matrix of 2048 x 2048 weights with 256 tokens"

_WIDTH = 2048
_TOKENS = 256
_GROUP = 32  # the weights that share a scale in Q4_0 and Q8_0
_OPERATIONS = 2 * _WIDTH * _WIDTH * _TOKENS
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
    settings = OpenVinoSettings(**values)
    try:
        tokens = opset13.parameter([_TOKENS, _WIDTH], np.float32)
        product = opset13.matmul(tokens, _weights(type_name), False, True)
        told = dict(properties(settings).values())
        compiled = openvino.Core().compile_model(
            openvino.Model([product], [tokens]), settings.device, told
        )
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO multiplies no weights of type {type_name}: {last_line(error)}"
        ) from error
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.ones((_TOKENS, _WIDTH), np.float32)))

    def run() -> None:
        request.start_async()
        request.wait()

    return best_per_s(_OPERATIONS, run, budget_s)


def _weights(type_name: str) -> openvino.Node:
    """A matrix as openvino-genai's reader writes it, integers with a scale for each group."""
    kind = getattr(openvino.Type, type_name, None)
    if kind is None:
        raise EngineError(f"OpenVINO has no type {type_name}")
    if type_name in _FLOATS:
        matrix = opset13.constant(np.ones((_WIDTH, _WIDTH), np.float32), kind)
        return opset13.convert(matrix, openvino.Type.f32)
    groups = (_WIDTH, _WIDTH // _GROUP, _GROUP)
    halves = opset13.convert(opset13.constant(np.ones(groups, np.uint8), kind), openvino.Type.f16)
    if type_name in _ZERO_POINTED:
        zeros = opset13.constant(np.zeros((*groups[:2], 1), np.uint8), kind)
        halves = opset13.subtract(halves, opset13.convert(zeros, openvino.Type.f16))
    scales = opset13.constant(np.ones((*groups[:2], 1), np.float16), openvino.Type.f16)
    matrix = opset13.reshape(opset13.multiply(halves, scales), [_WIDTH, _WIDTH], False)
    return opset13.convert(matrix, openvino.Type.f32)
