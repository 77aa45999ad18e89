"""How fast llama.cpp multiplies activations with weights of a type, apart from any model."""

from odllm_agent.contract import Engine
from odllm_agent.engines.ggml_product import Product
from odllm_agent.engines.passes import best_per_s

METHOD = "ggml's product of a matrix of 2048 x 2048 weights with 256 tokens"

# As wide as a model of some 3B weights, and enough tokens that computing outweighs reading; larger
# ones would take a second each on a slow processor.
_WIDTH = 2048
_TOKENS = 256
_OPERATIONS = 2 * _WIDTH * _WIDTH * _TOKENS


def operations_per_s(engine: Engine, type_name: str, budget_s: float) -> float:
    """Operations per second of the quickest product.

    Args:
        engine: llama.cpp with its settings.
        type_name: ggml's name of the type of the weights.
        budget_s: About how long to try.

    Raises:
        EngineError: ggml has no such type, or no room for the matrices.
    """
    with Product(type_name, (_WIDTH, _WIDTH), _TOKENS, int(engine.settings["threads"])) as product:
        return best_per_s(_OPERATIONS, product.compute, budget_s)
