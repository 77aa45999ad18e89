"""How fast llama.cpp multiplies activations with weights of a type, apart from any model."""

from odllm_agent.contract import Engine
from odllm_agent.engines.ceiling_passes import OPERATIONS, TOKENS, WIDTH, best_per_s
from odllm_agent.engines.llama_cpp.ggml_product import Product

METHOD = f"ggml's product of a matrix of {WIDTH} x {WIDTH} weights with {TOKENS} tokens"


def operations_per_s(engine: Engine, type_name: str, budget_s: float) -> float:
    """Operations per second of the quickest product.

    Args:
        engine: llama.cpp with its settings.
        type_name: ggml's name of the type of the weights.
        budget_s: About how long to try.

    Raises:
        EngineError: ggml has no such type, or no room for the matrices.
    """
    threads, repack = int(engine.settings["threads"]), bool(engine.settings.get("repack", True))
    with Product(type_name, (WIDTH, WIDTH), TOKENS, threads, repack=repack) as product:
        return best_per_s(OPERATIONS, product.compute, budget_s)
