"""Products that the real ggml computes."""

import ctypes

import pytest

from odllm_agent.engines.ggml import POINTERS, is_repacked, pointer
from odllm_agent.engines.ggml_product import Product
from odllm_agent.engines.native import bound
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
def test_weights_lie_as_llama_cpp_lays_them_out(kind: str) -> None:
    with Product(kind, SHAPE, tokens=1, threads=1) as product:
        describe = bound("ggml-base", "ggml_backend_buffer_name", ctypes.c_char_p, *POINTERS[:1])
        buffers = [
            describe(address)
            for free, address in product._to_free
            if free == "ggml_backend_buffer_free"
        ]
    assert (buffers[0] != b"CPU") == is_repacked(kind, SHAPE)


def test_a_type_that_ggml_has_not_is_named() -> None:
    with pytest.raises(EngineError, match="Q9_9"):
        Product("Q9_9", SHAPE, tokens=1, threads=1)
