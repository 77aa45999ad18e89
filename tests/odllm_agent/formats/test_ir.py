"""OpenVINO's own model files, written by OpenVINO and read without it."""

import contextlib
from pathlib import Path

import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13

from odllm_agent.contract import Use
from odllm_agent.errors import ModelInvalid
from odllm_agent.formats.ir import MODEL, REMAINDERS, WEIGHTS, read_graph


def compressed(kind: openvino.Type, rows: int = 64, groups: int = 4) -> openvino.Node:
    """A matrix of (weights - zero points) x scales in groups of 32, as nncf and genai write it."""
    weights = opset13.constant(np.ones((rows, groups, 32)), kind)
    zeros = opset13.constant(np.full((rows, groups, 1), 2), kind)
    scales = opset13.constant(np.ones((rows, groups, 1)), openvino.Type.f16)
    shifted = opset13.subtract(
        opset13.convert(weights, openvino.Type.f16), opset13.convert(zeros, openvino.Type.f16)
    )
    matrix = opset13.reshape(opset13.multiply(shifted, scales), [rows, groups * 32], False)
    return opset13.convert(matrix, openvino.Type.f32)


def plain(kind: openvino.Type, rows: int = 64, columns: int = 128) -> openvino.Node:
    matrix = opset13.constant(np.random.default_rng(0).standard_normal((rows, columns)), kind)
    return matrix if kind == openvino.Type.f32 else opset13.convert(matrix, openvino.Type.f32)


def write(folder: Path, *matrices: openvino.Node) -> Path:
    values = opset13.parameter([1, 128], np.float32)
    norm = opset13.constant(np.full(128, 1.5), openvino.Type.f32)
    normed = opset13.multiply(values, norm)
    results = [opset13.matmul(normed, matrix, False, True) for matrix in matrices]
    graph = openvino.Model(results, [values])
    openvino.save_model(graph, folder / MODEL, compress_to_fp16=False)
    return folder


@pytest.mark.parametrize(
    ("kind", "name", "bits"),
    [(openvino.Type.u4, "INT4", 4.625), (openvino.Type.u8, "INT8", 8.75)],
)
def test_scales_and_zero_points_are_bytes_but_no_weights(
    kind: openvino.Type, name: str, bits: float, tmp_path: Path
) -> None:
    found = read_graph(write(tmp_path, compressed(kind)))
    assert found.n_weights == 64 * 128 + 128
    assert found.weight_bytes == 64 * 128 * bits / 8 + 4 * 128
    assert found.precision == name
    assert found.types == tuple(sorted(("f16", "f32", kind.get_type_name())))


@pytest.mark.parametrize(
    ("kind", "name"), [(openvino.Type.f16, "FP16"), (openvino.Type.bf16, "BF16")]
)
def test_plain_matrices_are_all_weights(kind: openvino.Type, name: str, tmp_path: Path) -> None:
    found = read_graph(write(tmp_path, plain(kind)))
    assert found.n_weights == 64 * 128 + 128
    assert found.weight_bytes == 2 * 64 * 128 + 4 * 128
    assert found.precision == name


def test_most_weights_name_the_precision(tmp_path: Path) -> None:
    found = read_graph(
        write(tmp_path, compressed(openvino.Type.u4, rows=100), plain(openvino.Type.f16))
    )
    assert found.precision == "INT4"
    assert found.types == ("f16", "f32", "u4")


def test_bytes_are_those_that_openvino_holds_after_reading(tmp_path: Path) -> None:
    folder = write(tmp_path, compressed(openvino.Type.u4), plain(openvino.Type.f16))
    model = openvino.Core().read_model(folder / MODEL)
    held = sum(
        node.get_byte_size()
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() != openvino.Type.i64
    )
    assert read_graph(folder).weight_bytes == held


def test_weights_that_are_cut_off_are_told(tmp_path: Path) -> None:
    folder = write(tmp_path, plain(openvino.Type.f16))
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-1])
    with pytest.raises(ModelInvalid, match="cut off"):
        read_graph(folder)


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, plain(openvino.Type.f16))
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelInvalid, match=WEIGHTS):
        read_graph(folder)


@pytest.mark.parametrize(
    "graph",
    [
        "",
        "not xml",
        "<net/>",
        "<net><layers><layer/></layers></net>",
        '<net><layers><layer id="0" type="Const"/></layers></net>',
        '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><net>&b;</net>',
    ],
)
def test_a_graph_that_makes_no_sense_is_told(graph: str, tmp_path: Path) -> None:
    (tmp_path / MODEL).write_text(graph)
    (tmp_path / WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelInvalid, match="no usable model"):
        read_graph(tmp_path)


def test_conversions_in_a_circle_end(tmp_path: Path) -> None:
    layers = (
        '<layer id="0" type="Const"><data element_type="f16" shape="4" offset="0" size="8"/>'
        '</layer><layer id="1" type="Convert"/>'
    )
    edges = "".join(
        f'<edge from-layer="{start}" from-port="0" to-layer="1" to-port="0"/>' for start in (0, 1)
    )
    (tmp_path / MODEL).write_text(f"<net><layers>{layers}</layers><edges>{edges}</edges></net>")
    (tmp_path / WEIGHTS).write_bytes(bytes(8))
    with pytest.raises(ModelInvalid):
        read_graph(tmp_path)


def test_matrices_of_blocks_and_of_the_output_are_told_apart(tmp_path: Path) -> None:
    values = opset13.parameter([1, 128], np.float32)
    inner = opset13.matmul(values, compressed(openvino.Type.u4, rows=128), False, True)
    outer = opset13.matmul(inner, plain(openvino.Type.f16), False, True)
    openvino.save_model(openvino.Model([outer], [values]), tmp_path / MODEL, False)
    found = {(each.use, each.type): each for each in read_graph(tmp_path).anatomy.weights}
    assert found[Use.TOKENS, "u4"].n_multiplied == 128 * 128
    assert found[Use.TOKENS, "f16"].n_multiplied == 0  # the scales of the u4 weights
    assert found[Use.OUTPUT, "f16"].n_multiplied == 64 * 128
    assert found[Use.OUTPUT, "f16"].n_bytes == 2 * 64 * 128


def test_what_others_lack_is_read_with_them_and_is_no_weight(tmp_path: Path) -> None:
    values = opset13.parameter([1, 128], np.float32)
    lacking = opset13.constant(np.ones((64, 4)), openvino.Type.f16)
    lacking.set_friendly_name(f"output.weight{REMAINDERS}")
    sums = opset13.reduce_sum(opset13.reshape(values, [1, 4, 32], False), np.array([-1]))
    added = opset13.matmul(sums, opset13.convert(lacking, openvino.Type.f32), False, True)
    product = opset13.matmul(values, compressed(openvino.Type.u4), False, True)
    graph = openvino.Model([opset13.add(product, added)], [values])
    openvino.save_model(graph, tmp_path / MODEL, False)

    found = read_graph(tmp_path)

    assert found.n_weights == 64 * 128
    assert found.weight_bytes == 64 * 128 * 5.125 / 8
    groups = {(each.use, each.type): each for each in found.anatomy.weights}
    assert groups.keys() == {(Use.OUTPUT, "f16"), (Use.OUTPUT, "u4")}
    assert groups[Use.OUTPUT, "f16"].n_bytes == 64 * 128 * (0.5 + 0.5) / 8
    assert groups[Use.OUTPUT, "f16"].n_multiplied == 0


@pytest.mark.parametrize("tied", [True, False])
def test_of_embeddings_that_are_not_tied_to_the_output_one_row_is_read(
    tied: bool, tmp_path: Path
) -> None:
    ids = opset13.parameter([1], np.int64)
    table = plain(openvino.Type.f16)
    rows = opset13.gather(table, ids, opset13.constant(0, np.int64))
    last = opset13.matmul(rows, table if tied else plain(openvino.Type.f32), False, True)
    openvino.save_model(openvino.Model([last], [ids]), tmp_path / MODEL, False)
    found = read_graph(tmp_path).anatomy.weights
    looked_up = [each for each in found if each.use is Use.LOOKUP]
    assert [each.n_bytes for each in looked_up] == ([] if tied else [2 * 128])


def test_norms_are_read_but_no_matrices(tmp_path: Path) -> None:
    found = read_graph(write(tmp_path, plain(openvino.Type.f16)))
    (norm,) = (each for each in found.anatomy.weights if each.type == "f32")
    assert (norm.use, norm.n_bytes, norm.n_multiplied) == (Use.TOKENS, 4 * 128, 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole"), compressed(openvino.Type.u4, rows=4))


@given(st.data())
def test_a_mutated_graph_is_read_or_refused(whole: Path, data: st.DataObject) -> None:
    content = bytearray((whole / MODEL).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    folder = whole / "mutated"
    folder.mkdir(exist_ok=True)
    (folder / MODEL).write_bytes(content)
    (folder / WEIGHTS).write_bytes((whole / WEIGHTS).read_bytes())
    with contextlib.suppress(ModelInvalid):
        assert read_graph(folder).weight_bytes <= len((folder / WEIGHTS).read_bytes())
