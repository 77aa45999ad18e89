"""The minima of a GGUF file's groups of weights, put right in its converted form.

A weight of Q4_1 or Q4_K is scale x code - minimum, with a minimum of its own for each group of 32.
openvino-genai's reader writes scale x (code - zero point) instead, with zero points in 4 bits: the
minima are rounded to whole steps of the scale, which puts weights off by 8 % of their size, and
those of less than 0 or more than 15 steps are wrapped round.

What was rounded away is the same for all weights of a group. So a product lacks the sum of each
group of activations times it: a second, 32 times smaller product, which is added here. The first
one stays as it is, because OpenVINO's CPU plugin multiplies integers only where zero points are
integers too: with zero points in f16 a product takes up to twice as long.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
from gguf.quants import Q4_K
from numpy.typing import NDArray
from openvino import opset13

from odllm_agent.formats.header import Tensor, block_size, read_header
from odllm_agent.formats.ir import REMAINDERS

GROUP = 32
"""The weights that share a minimum, in every type that has one and that the reader knows."""

_Sums = dict[tuple[str, int], openvino.Node]
_Bytes = NDArray[np.uint8]
_Floats = NDArray[np.float32]
# The reader rounds scales to f16.
_SCALE_ERROR = 2**-10
_SMALLEST = 2.0**-24
_LAST = np.array([-1], np.int64)


@dataclass(frozen=True, slots=True)
class Groups:
    """The weights of a matrix, group by group: each is scale x code - minimum.

    Attributes:
        codes: Two codes of 4 bits to a byte, the first one in the lower bits, shape (rows, bytes).
        scales: Shape (rows, groups).
        minima: Shape (rows, groups).
    """

    codes: _Bytes
    scales: _Floats
    minima: _Floats

    @classmethod
    def of(cls, type_name: str, content: _Bytes, n_rows: int) -> "Groups":
        """The groups of a tensor as a GGUF file has it.

        Args:
            type_name: ggml's name of its type, one of `TYPES`.
            content: Its bytes.
            n_rows: The number of its rows.
        """
        _, block_bytes = block_size(type_name)
        codes, scales, minima = _READ[type_name](content.reshape(-1, block_bytes))
        rows = n_rows, -1
        return cls(codes.reshape(rows), scales.reshape(rows), minima.reshape(rows))

    def in_order(self) -> NDArray[np.intp]:
        """The rows in the order of their codes, whatever order they are in.

        Those of equal codes, such as the embeddings of tokens that nobody uses, stay as they are.
        """
        rows = np.ascontiguousarray(self.codes)
        return np.argsort(rows.view(f"V{rows.shape[1]}").ravel(), kind="stable")


def _of_q4_1(blocks: _Bytes) -> tuple[_Bytes, _Floats, _Floats]:
    scales, lowest = _halves(blocks[:, :4]).T
    return _codes(blocks[:, 4:], 16), scales, -lowest


def _of_q4_k(blocks: _Bytes) -> tuple[_Bytes, _Floats, _Floats]:
    steps = _halves(blocks[:, :4])
    scales, minima = Q4_K.get_scale_min(blocks[:, 4:16])
    return _codes(blocks[:, 16:], 32), steps[:, :1] * scales, steps[:, 1:] * minima


_READ: Mapping[str, Callable[[_Bytes], tuple[_Bytes, _Floats, _Floats]]] = {
    "Q4_1": _of_q4_1,
    "Q4_K": _of_q4_k,
}
TYPES = frozenset(_READ)
"""The types whose groups have minima, as far as the reader knows them, by ggml's names."""


class Minima:
    """The matrices of a GGUF file whose groups have minima of their own.

    Args:
        path: The file.

    Raises:
        ModelInvalid: It is no whole GGUF file.
        ValueError: Two of its matrices differ in nothing but minima.
    """

    def __init__(self, path: Path) -> None:
        header = read_header(path)
        self._path = path
        self._start_bytes = header.layout.data_start_bytes
        self._tensors: dict[str, Tensor] = {}
        for tensor in header.tensors:
            if tensor.type in TYPES:
                self._add(tensor)

    def put_right(self, model: openvino.Model) -> bool:
        """Adds to a converted model's products what the reader has rounded away.

        Returns:
            Whether there was anything to add.

        Raises:
            ValueError: The converted model has other weights than the file.
        """
        if not self._tensors:
            return False
        missing, sums = dict(self._tensors), _Sums()
        for written in _written(model):
            order = written.groups.in_order()
            key = _key(written.groups, order)
            if key in self._tensors:
                missing.pop(key, None)
                _add(written, self._remainders(written.groups, order, self._tensors[key]), sums)
        if missing:
            lost = ", ".join(sorted(tensor.name for tensor in missing.values()))
            raise ValueError(f"its converted form lacks the weights of {lost}")
        model.validate_nodes_and_infer_types()
        return True

    def _remainders(self, found: Groups, order: NDArray[np.intp], tensor: Tensor) -> openvino.Node:
        """What the reader's form lacks in the weights of each group; it may have moved rows."""
        groups = self._groups(tensor)
        theirs = groups.in_order()
        scales, minima = np.empty_like(groups.scales), np.empty_like(groups.minima)
        scales[order], minima[order] = groups.scales[theirs], groups.minima[theirs]
        if not np.allclose(found.scales, scales, rtol=_SCALE_ERROR, atol=_SMALLEST):
            raise ValueError(f"its converted form has other scales than {tensor.name}")
        values = opset13.constant((found.minima - minima).astype(np.float16))
        values.set_friendly_name(f"{tensor.name}{REMAINDERS}")
        return opset13.convert(values, openvino.Type.f32)

    def _add(self, tensor: Tensor) -> None:
        groups = self._groups(tensor)
        twin = self._tensors.setdefault(_key(groups, groups.in_order()), tensor)
        if twin is not tensor and not np.array_equal(self._groups(twin).minima, groups.minima):
            raise ValueError(f"its weights {twin.name} and {tensor.name} cannot be told apart")

    def _groups(self, tensor: Tensor) -> Groups:
        start_bytes = self._start_bytes + tensor.offset_bytes
        content = np.fromfile(self._path, np.uint8, tensor.n_bytes, offset=start_bytes)
        return Groups.of(tensor.type, content, tensor.n_weights // tensor.shape[0])


@dataclass(frozen=True, slots=True)
class _Written:
    """A matrix as the reader writes it: scale x code - scale x zero point.

    Attributes:
        matrix: The operation that gives it.
        groups: What it holds.
    """

    matrix: openvino.Node
    groups: Groups


def _written(model: openvino.Model) -> Iterator[_Written]:
    """Every matrix with codes of 4 bits."""
    for product in model.get_ordered_ops():
        constants = _constants(product)
        if constants is None:
            continue
        codes, zeros, scales = constants
        n_rows, n_groups, _ = codes.shape
        shape = (n_rows, n_groups)
        steps = scales.data.astype(np.float32).reshape(shape)
        packed = codes.data.view(np.uint8).reshape(n_rows, -1)
        minima = steps * _unpacked(zeros).reshape(shape)
        yield _Written(_matrix(product), Groups(packed, steps, minima))


def _constants(product: openvino.Node) -> list[openvino.Node] | None:
    """Codes, zero points and scales, if an operation multiplies (codes - zero points) by scales."""
    if product.get_type_name() != "Multiply":
        return None
    difference = _source(product, 0)
    if difference.get_type_name() != "Subtract":
        return None
    found = [_source(difference, 0), _source(difference, 1), _source(product, 1)]
    if any(each.get_type_name() != "Constant" for each in found):
        return None
    return found if found[0].get_element_type() == openvino.Type.u4 else None


def _source(operation: openvino.Node, place: int) -> openvino.Node:
    """What gives an input, conversions of its type left aside."""
    source = operation.input_value(place).get_node()
    return _source(source, 0) if source.get_type_name() == "Convert" else source


def _matrix(product: openvino.Node) -> openvino.Node:
    """The whole matrix that a product of groups is a form of."""
    users = _users(product)
    if len(users) == 1 and users[0].get_node().get_type_name() in {"Reshape", "Convert"}:
        return _matrix(users[0].get_node())
    return product


def _users(operation: openvino.Node) -> list[openvino.Input]:
    return list(operation.output(0).get_target_inputs())


def _add(written: _Written, remainders: openvino.Node, sums: _Sums) -> None:
    """Adds what the remainders make of a matrix wherever it is used."""
    for user in _users(written.matrix):
        operation = user.get_node()
        kind = (operation.get_type_name(), user.get_index())
        if kind == ("MatMul", 1):
            _add_to_product(operation, remainders, sums)
        elif kind == ("Gather", 0):
            _add_to_rows(operation, remainders)
        else:
            raise ValueError(f"its converted form has a matrix in the place {kind}")


def _add_to_product(product: openvino.Node, remainders: openvino.Node, sums: _Sums) -> None:
    """Adds the remainders times the sums of the groups of activations."""
    values = product.input_value(0)
    place = (values.get_node().get_name(), values.get_index())
    if place not in sums:
        sums[place] = opset13.reduce_sum(_grouped(values), _LAST, keep_dims=False)
    users = _users(product)
    lacking = opset13.matmul(sums[place], remainders, False, True)
    _replace(product, users, opset13.add(product, lacking))


def _add_to_rows(rows: openvino.Node, remainders: openvino.Node) -> None:
    """Adds the remainders to every weight of the rows that are looked up."""
    users = _users(rows)
    lacking = opset13.gather(remainders, rows.input_value(1), rows.input_value(2))
    whole = opset13.add(_grouped(rows.output(0)), opset13.unsqueeze(lacking, _LAST))
    flat = np.array([0] * (len(rows.output(0).get_partial_shape()) - 1) + [-1], np.int64)
    _replace(rows, users, opset13.reshape(whole, flat, special_zero=True))


def _grouped(values: openvino.Output) -> openvino.Node:
    """Values with an axis more, along which those of a group lie."""
    *others, _ = values.get_partial_shape()
    shape = np.array([0] * len(others) + [-1, GROUP], np.int64)
    return opset13.reshape(values, shape, special_zero=True)


def _replace(old: openvino.Node, users: Sequence[openvino.Input], new: openvino.Node) -> None:
    """Gives an operation's users, and its names, to another."""
    for user in users:
        user.replace_source_output(new.output(0))
    new.output(0).set_names(old.output(0).get_names())
    old.output(0).set_names(set())


def _key(groups: Groups, order: NDArray[np.intp]) -> str:
    """A name of a matrix by its codes, in whatever order its rows are."""
    return f"{groups.codes.shape} {hashlib.sha256(groups.codes[order].data).hexdigest()}"


def _halves(values: _Bytes) -> _Floats:
    return np.ascontiguousarray(values).view("<f2").astype(np.float32)


def _codes(packed: _Bytes, chunk_bytes: int) -> _Bytes:
    """Codes as OpenVINO packs them; ggml has the first half of a chunk in the lower bits.

    Args:
        packed: As ggml packs them.
        chunk_bytes: The bytes of a chunk.
    """
    chunks = packed.reshape(-1, chunk_bytes)
    halves: _Bytes = np.concatenate([chunks & 15, chunks >> 4], axis=1)
    pairs: _Bytes = halves[:, ::2] | (halves[:, 1::2] << np.uint8(4))
    return pairs


def _unpacked(constant: openvino.Node) -> _Bytes:
    pairs: _Bytes = constant.data.view(np.uint8).ravel()
    values: _Bytes = np.stack([pairs & 15, pairs >> 4], axis=1).ravel()
    return values[: math.prod(constant.shape)]
