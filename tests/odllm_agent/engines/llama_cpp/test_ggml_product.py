"""Products that the real ggml computes."""

import ctypes

import pytest

from odllm_agent.engines.llama_cpp.ggml import POINTERS, is_repacked, pointer
from odllm_agent.engines.llama_cpp.ggml_product import Product
from odllm_agent.engines.llama_cpp.native import bound
from odllm_agent.errors import EngineError

SHAPE = (256, 512)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"])
def test_what_is_computed_is_one_product_of_the_shape_asked_for(kind: str) -> None:
    with Product(kind, SHAPE, tokens=7, threads=1) as product:
        product.compute()
        graph = product._graph
        assert bound("ggml-base", "ggml_graph_n_nodes", ctypes.c_int, ctypes.c_void_p)(graph) == 1
        node = pointer("ggml-base", "ggml_graph_node", ctypes.c_void_p, ctypes.c_int)(graph, 0)
        name = bound("ggml-base", "ggml_op_desc", ctypes.c_char_p, ctypes.c_void_p)(node)
        count = bound("ggml-base", "ggml_nelements", ctypes.c_int64, ctypes.c_void_p)(node)
        assert (name, count) == (b"MUL_MAT", SHAPE[1] * 7)


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q4_K", "Q6_K"])
def test_weights_lie_as_llama_cpp_lays_them_out(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bound("ggml-base", "ggml_backend_buft_name", ctypes.c_char_p, *POINTERS[:1])
    allocate, used = Product._allocate, list[bytes]()

    def noted(product: Product, context: int, buffers: int) -> int:
        used.append(name(buffers))
        return allocate(product, context, buffers)

    monkeypatch.setattr(Product, "_allocate", noted)
    with Product(kind, SHAPE, tokens=1, threads=1) as product:
        product.compute()
    of_weights, of_activations = used
    assert of_activations == b"CPU"
    assert (of_weights != b"CPU") == is_repacked(kind, SHAPE)


def test_a_type_that_ggml_has_not_is_named() -> None:
    with pytest.raises(EngineError, match="Q9_9"):
        Product("Q9_9", SHAPE, tokens=1, threads=1)
