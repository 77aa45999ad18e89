"""Weights in the converted form of real files, against gguf's own reading of the same files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import openvino
import pytest
from gguf import GGMLQuantizationType
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from odllm_agent.contract import Use
from odllm_agent.engines.openvino import session as engine
from odllm_agent.engines.openvino.minima import GROUP, TYPES, Groups, Minima
from odllm_agent.formats.ir import MODEL, read_graph
from tests.models import Shape, write_gguf, write_quantized
from tests.odllm_agent.engines.loading import described

pytestmark = pytest.mark.usefixtures("one_cache")

Matrix = NDArray[np.float64]
_HEAD_WIDTH = 64
# Scales of K-quants are products that the reader rounds to f16, and so are remainders.
MOST_ERROR = {"F16": 0.0, "Q8_0": 0.0, "Q4_0": 0.0, "Q4_1": 2e-5, "Q4_K": 1e-3, "Q6_K": 1e-3}


def written(folder: Path, kind: str, architecture: str = "qwen2") -> Path:
    """A model all of whose matrices, the embedding among them, are of one type."""
    shape = Shape(ffn=512, architecture=architecture)
    plain = write_gguf(folder / "plain.gguf", shape, seed=7)
    if kind == "F16":
        return plain
    # A file of K-quants is named by its mix.
    named = f"{kind}_M" if kind == "Q4_K" else kind
    return write_quantized(plain, folder / f"{kind}.gguf", f"{named}+pure")


def matrices_of_file(path: Path) -> dict[str, Matrix]:
    """As gguf's package reads them, the rows of llama's heads in the order that OpenVINO wants."""
    reader = gguf.GGUFReader(path)
    is_llama = reader.fields["general.architecture"].contents() == "llama"
    found = {}
    for tensor in reader.tensors:
        if len(tensor.shape) == 2:
            values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
            moved = is_llama and tensor.name.endswith(("attn_q.weight", "attn_k.weight"))
            found[tensor.name] = even_rows_first(values) if moved else values
    return found


def even_rows_first(rows: Matrix) -> Matrix:
    heads = rows.reshape(-1, _HEAD_WIDTH // 2, 2, rows.shape[1])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def matrices_of_form(folder: Path) -> Iterator[Matrix]:
    """Every matrix as the converted graph uses it, with what is added to its products or rows."""
    for operation in openvino.Core().read_model(folder / MODEL).get_ordered_ops():
        place = {"MatMul": 1, "Gather": 0}.get(operation.get_type_name())
        matrix = None if place is None else constant_value(source(operation, place))
        if matrix is not None and matrix.ndim == 2 and not adds(operation):
            lacking = what_is_added(operation)
            yield matrix if lacking is None else matrix + np.repeat(lacking, GROUP, axis=1)


def adds(operation: openvino.Node) -> bool:
    """Whether an operation itself only gives what another one lacks."""
    if operation.get_type_name() == "MatMul":
        return bool(source(operation, 0).get_type_name() == "ReduceSum")
    return any(kind == "Unsqueeze" for kind, _ in users(operation))


def what_is_added(operation: openvino.Node) -> Matrix | None:
    """The remainders of a matrix, one for each group."""
    for kind, user in users(operation):
        if operation.get_type_name() == "Gather" and kind == "Reshape":
            ((_, addition),) = users(user)
            return constant_value(source(source(source(addition, 1), 0), 0))
        if kind == "Add" and source(user, 1).get_type_name() == "MatMul" and adds(source(user, 1)):
            return constant_value(source(source(user, 1), 1))
    return None


def source(operation: openvino.Node, place: int) -> openvino.Node:
    return operation.input_value(place).get_node()


def users(operation: openvino.Node) -> list[tuple[str, openvino.Node]]:
    nodes = [target.get_node() for target in operation.output(0).get_target_inputs()]
    return [(node.get_type_name(), node) for node in nodes]


def constant_value(node: openvino.Node) -> Matrix | None:
    """What constants come to, without any rounding on the way; `None` of what is not constant."""
    kind = node.get_type_name()
    if kind == "Constant":
        return unpacked(node)
    if kind not in ARITHMETIC:
        return None
    parts = [constant_value(source(node, place)) for place in range(node.get_input_size())]
    return None if any(part is None for part in parts) else ARITHMETIC[kind](*parts)


ARITHMETIC: dict[str, Callable[..., Matrix]] = {
    "Convert": lambda values: values,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Reshape": lambda values, shape: values.reshape(shape.astype(int)),
}


def unpacked(constant: openvino.Node) -> Matrix:
    values = constant.data
    if constant.get_element_type() == openvino.Type.u4:
        pairs = values.view(np.uint8).ravel()
        values = np.stack([pairs & 15, pairs >> 4], axis=1).ravel()[: np.prod(constant.shape)]
    whole: Matrix = values.reshape(list(constant.shape)).astype(np.float64)
    return whole


def errors(path: Path) -> dict[str, float]:
    """By tensor: how far weights are from those of the file, as a share of the largest weight."""
    form = list(matrices_of_form(engine._folder(described(path))))
    found = {}
    for name, values in matrices_of_file(path).items():
        alike = [each for each in form if each.shape == values.shape]
        found[name] = float(min(np.abs(each - values).max() for each in alike))
        found[name] /= float(np.abs(values).max())
    return found


@pytest.mark.parametrize(
    ("kind", "architecture"), [*((kind, "llama") for kind in MOST_ERROR), ("Q4_K", "qwen2")]
)
def test_every_weight_in_the_converted_form_is_that_of_the_file(
    kind: str, architecture: str, tmp_path: Path
) -> None:
    """Without what is added to the reader's form, those of Q4_1 and Q4_K are off by 0.05."""
    found = errors(written(tmp_path, kind, architecture))
    assert len(found) == 1 + 7
    assert max(found.values()) <= MOST_ERROR[kind], found


def test_groups_far_from_zero_and_of_equal_weights_are_those_of_the_file(tmp_path: Path) -> None:
    """Their zero points lie outside of 4 bits; the second kind has none, for its scale is 0."""
    path = written(tmp_path, "Q4_1")
    chance = np.random.default_rng(3)
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.tensor_type == GGMLQuantizationType.Q4_1:
            steps = tensor.data.reshape(-1, 20)[:, :4].view(np.float16)
            steps[:, 1] = chance.uniform(-0.5, 0.5, len(steps))
            steps[::5, 0] = 0
    assert max(errors(path).values()) <= 5e-4


def test_what_is_added_is_bytes_but_no_weights(tmp_path: Path) -> None:
    path = written(tmp_path, "Q4_1")
    model = described(path)
    graph = read_graph(engine._folder(model))
    n_matrices = sum(values.size for values in matrices_of_file(path).values())
    vectors = model.n_weights - n_matrices
    # The embedding is looked up and multiplied; rotary frequencies are no weights of the file.
    assert graph.n_weights == pytest.approx(model.n_weights, abs=_HEAD_WIDTH)
    assert graph.weight_bytes == pytest.approx(
        n_matrices * 5.125 / 8 + vectors * 4, abs=4 * _HEAD_WIDTH
    )
    assert graph.precision == "INT4"
    multiplied = sum(each.n_multiplied for each in graph.anatomy.weights)
    assert multiplied == sum(each.n_multiplied for each in model.anatomy.weights)
    outputs = [each for each in graph.anatomy.weights if each.use is Use.OUTPUT]
    n_output = sum(each.n_multiplied for each in outputs)
    assert sum(each.n_bytes for each in outputs) == n_output * 5.125 / 8


def test_the_form_of_another_file_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    folder = engine._folder(described(written(one, "Q4_1", "llama")))
    plain = write_gguf(other / "plain.gguf", Shape(ffn=512, architecture="llama"), seed=8)
    minima = Minima(write_quantized(plain, other / "Q4_1.gguf", "Q4_1+pure"))
    with pytest.raises(ValueError, match=r"lacks the weights of blk\.0\.attn_k\.weight"):
        minima.put_right(openvino.Core().read_model(folder / MODEL))


def test_scales_that_are_not_those_of_the_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "Q4_1", "llama")
    folder = engine._folder(described(path))
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.name == "blk.0.ffn_up.weight":
            tensor.data.reshape(-1, 20)[:, :2].view(np.float16)[:] *= np.float16(2)
    with pytest.raises(ValueError, match=r"other scales than blk\.0\.ffn_up\.weight"):
        Minima(path).put_right(openvino.Core().read_model(folder / MODEL))


def test_matrices_that_differ_in_nothing_but_minima_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "Q4_1", "llama")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path, "r+").tensors}
    gate, up = (tensors[f"blk.0.ffn_{part}.weight"].data for part in ("gate", "up"))
    up[:] = gate
    Minima(path)
    up.reshape(-1, 20)[:, 2:4].view(np.float16)[:] += np.float16(1)
    with pytest.raises(ValueError, match=r"ffn_gate\.weight and blk\.0\.ffn_up\.weight cannot"):
        Minima(path)


@pytest.mark.parametrize("kind", sorted(TYPES))
@given(data=st.data())
def test_groups_are_read_as_gguf_reads_them(kind: str, data: st.DataObject) -> None:
    number = GGMLQuantizationType[kind]
    block, block_bytes = gguf.GGML_QUANT_SIZES[number]
    content = data.draw(arrays(np.uint8, (2, block_bytes * 256 // block)))
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(content, number).reshape(2, -1, GROUP)
        assume(np.isfinite(expected).all())
        found = Groups.of(kind, content, 2)
        pairs = found.codes.reshape(2, -1, GROUP // 2)
        codes = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(expected.shape)
        weights = codes * found.scales[..., None] - found.minima[..., None]
    assert np.allclose(weights, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
