"""What OpenVINO's own model files say of themselves, read without OpenVINO.

A model is a folder: `openvino_model.xml` lists operations and how they are joined,
`openvino_model.bin` holds the constants one after another.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from odllm_agent.errors import ModelInvalid

MODEL = "openvino_model.xml"
WEIGHTS = "openvino_model.bin"

# The graph of a model with 80 blocks takes some 10 MB.
_MAX_GRAPH_BYTES = 256 * 2**20
_INDEX_TYPES = frozenset({"i64", "u64", "i32", "u32", "i16", "u16", "boolean", "string"})
_FLOAT_TYPES = frozenset({"f64", "f32", "f16", "bf16"})
_NONSENSE = (
    OSError, ValueError, KeyError, AttributeError, RecursionError, ET.ParseError
)  # fmt: skip
_PRECISIONS: Mapping[str, str] = {
    "u4": "INT4",
    "i4": "INT4",
    "u8": "INT8",
    "i8": "INT8",
    "f16": "FP16",
    "bf16": "BF16",
    "f32": "FP32",
}


@dataclass(frozen=True, slots=True)
class Graph:
    """The weights of a model in OpenVINO's form.

    Attributes:
        weight_bytes: The bytes of all weights, with the scales and zero points that belong to them.
        n_weights: The number of weights, scales and zero points not counted.
        types: The distinct types of weights, scales and zero points, sorted, such as `f16`, `u4`.
        precision: The type of most weights as OpenVINO's tools call it, such as `INT4`.
    """

    weight_bytes: int
    n_weights: int
    types: tuple[str, ...]
    precision: str


@dataclass(frozen=True, slots=True)
class _Constant:
    """A constant of the graph that is no shape and no index."""

    type: str
    n_elements: int
    n_bytes: int
    offset_bytes: int


def read_graph(folder: Path) -> Graph:
    """Reads the weights' types and sizes in a folder of OpenVINO's form.

    Raises:
        ModelInvalid: There is no such graph, or it makes no sense, or its weights are cut off.
    """
    path = folder / MODEL
    try:
        if path.stat().st_size > _MAX_GRAPH_BYTES:
            raise ValueError(f"it is longer than {_MAX_GRAPH_BYTES:,} bytes")
        # Expat itself bounds how far entities may grow.
        net = ET.parse(path).getroot()  # noqa: S314
        return _graph(_Net.of(net), (folder / WEIGHTS).stat().st_size)
    except _NONSENSE as error:
        raise ModelInvalid(
            f"{folder} is no usable model in OpenVINO's form: {error}",
            f"it needs {MODEL} and {WEIGHTS} as OpenVINO's tools write them; export it again",
        ) from error


@dataclass(frozen=True, slots=True)
class _Net:
    """The operations of a graph and how they are joined.

    Attributes:
        kinds: The kind of each operation, by its id.
        constants: The constants that are no shapes or indices, by id.
        users: The operation that takes each one's output, and at which of its inputs; the first of
            them if there are several.
        sources: The operation that gives each input, by the id and the input.
    """

    kinds: Mapping[str, str]
    constants: Mapping[str, _Constant]
    users: Mapping[str, tuple[str, str]]
    sources: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, net: ET.Element) -> "_Net":
        layers = {layer.attrib["id"]: layer for layer in net.iterfind("layers/layer")}
        edges = [edge.attrib for edge in net.iterfind("edges/edge")]
        return cls(
            kinds={name: layer.attrib["type"] for name, layer in layers.items()},
            constants=dict(_constants(layers)),
            users={e["from-layer"]: (e["to-layer"], e["to-port"]) for e in reversed(edges)},
            sources={(e["to-layer"], e["to-port"]): e["from-layer"] for e in edges},
        )

    def is_scale_or_zero_point(self, name: str) -> bool:
        """Whether a constant only says how to read others: (weights - zero point) x scale."""
        user, port = self._user(name)
        if port != "1" or self.kinds.get(user) not in {"Subtract", "Multiply"}:
            return False
        root = self._root(self.sources[user, "0"])
        return root in self.constants and self.constants[root].type not in _FLOAT_TYPES

    def _user(self, name: str) -> tuple[str, str]:
        """What uses a constant, conversions of its type left aside."""
        user, port = self.users.get(name, ("", ""))
        return self._user(user) if self.kinds.get(user) == "Convert" else (user, port)

    def _root(self, name: str) -> str:
        """The constant that an operation's first input goes back to, if only read differently."""
        if self.kinds.get(name) in {"Convert", "Subtract"}:
            return self._root(self.sources[name, "0"])
        return name


def _constants(
    layers: Mapping[str, ET.Element],
) -> Iterable[tuple[str, _Constant]]:
    for name, layer in layers.items():
        if layer.attrib["type"] != "Const":
            continue
        data = layer.find("data").attrib  # type: ignore[union-attr]
        n_elements = math.prod(int(size) for size in data["shape"].split(",") if size.strip())
        if data["element_type"] not in _INDEX_TYPES and n_elements > 1:
            yield (
                name,
                _Constant(data["element_type"], n_elements, int(data["size"]), int(data["offset"])),
            )


def _graph(net: _Net, file_bytes: int) -> Graph:
    constants = net.constants.values()
    end_bytes = max(each.offset_bytes + each.n_bytes for each in constants)
    if end_bytes > file_bytes:
        raise ValueError(f"{WEIGHTS} is cut off: {file_bytes:,} bytes instead of {end_bytes:,}")
    n_weights = Counter[str]()
    for name, each in net.constants.items():
        if not net.is_scale_or_zero_point(name):
            n_weights[each.type] += each.n_elements
    ((most, _),) = n_weights.most_common(1)
    return Graph(
        weight_bytes=sum(each.n_bytes for each in constants),
        n_weights=n_weights.total(),
        types=tuple(sorted({each.type for each in constants})),
        precision=_PRECISIONS.get(most, most.upper()),
    )
