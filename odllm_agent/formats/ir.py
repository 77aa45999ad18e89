"""What OpenVINO's own model files say of themselves, read without OpenVINO.

A model is a folder: `openvino_model.xml` lists operations and how they are joined,
`openvino_model.bin` holds the constants one after another.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from odllm_agent.contract import Anatomy, Use, WeightGroup
from odllm_agent.errors import ModelInvalid

MODEL = "openvino_model.xml"
WEIGHTS = "openvino_model.bin"
CONFIG = "config.json"
REMAINDERS = "/remainders"
"""In the names of constants that say what others lack, group by group."""

# What changes an answer or a speed: the model, its tokenizer, and what it says of itself.
_COUNTED = ("openvino_model.*", "openvino_tokenizer.*", CONFIG)

# The graph of a model with 80 blocks takes some 10 MB.
_MAX_GRAPH_BYTES = 256 * 2**20
_INDEX_TYPES = frozenset({"i64", "u64", "i32", "u32", "i16", "u16", "boolean", "string"})
_FLOAT_TYPES = frozenset({"f64", "f32", "f16", "bf16"})
# What only reads constants in another way, so that it is done before or beside a product.
_FOLDED = frozenset({"Convert", "Subtract", "Multiply", "Reshape", "Transpose"})
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
        n_weights: The number of weights; what only says how to read others is not counted.
        types: The distinct types of weights, scales and zero points, sorted, such as `f16`, `u4`.
        precision: The type of most weights as OpenVINO's tools call it, such as `INT4`.
        anatomy: What the model consists of.
    """

    weight_bytes: int
    n_weights: int
    types: tuple[str, ...]
    precision: str
    anatomy: Anatomy


@dataclass(frozen=True, slots=True)
class _Constant:
    """A constant of the graph that is no shape and no index."""

    name: str
    type: str
    n_elements: int
    n_rows: int
    n_bytes: int
    offset_bytes: int


def counted_files(folder: Path) -> list[Path]:
    """The files of a folder that make its checksum."""
    return sorted(path for pattern in _COUNTED for path in folder.glob(pattern))


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
        constant_ids: The operations that hang on constants alone.
        constants: The constants that are no shapes or indices, by id.
        users: The operations that take each one's output, and at which of their inputs.
        sources: The operation that gives each input, by the id and the input.
        kv_values: Keys and values that each token leaves in the state.
        query_values: Values of the queries that each token asks it with.
    """

    kinds: Mapping[str, str]
    constant_ids: frozenset[str]
    constants: Mapping[str, _Constant]
    users: Mapping[str, list[tuple[str, str]]]
    sources: Mapping[tuple[str, str], str]
    kv_values: int
    query_values: int

    @classmethod
    def of(cls, net: ET.Element) -> "_Net":
        layers = {layer.attrib["id"]: layer for layer in net.iterfind("layers/layer")}
        edges = [edge.attrib for edge in net.iterfind("edges/edge")]
        users: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for e in edges:
            users[e["from-layer"]].append((e["to-layer"], e["to-port"]))
        kinds = {name: layer.attrib["type"] for name, layer in layers.items()}
        sources = {(e["to-layer"], e["to-port"]): e["from-layer"] for e in edges}
        return cls(
            kinds=kinds,
            constant_ids=_constant_ids(kinds, sources),
            constants=dict(_constants(layers)),
            users=users,
            sources=sources,
            kv_values=sum(map(_state_values, layers.values())),
            query_values=sum(map(_query_values, layers.values())),
        )

    def is_of_others(self, name: str) -> bool:
        """Whether a constant only says how to read others.

        They are (weights - zero point) x scale, and the remainders that our converter adds.
        """
        if REMAINDERS in self.constants[name].name:
            return True
        user, port = self._user(name)
        if port != "1" or self.kinds.get(user) not in {"Subtract", "Multiply"}:
            return False
        root = self._root(self.sources[user, "0"])
        return root in self.constants and self.constants[root].type not in _FLOAT_TYPES

    def _user(self, name: str) -> tuple[str, str]:
        """What uses a constant, conversions of its type left aside."""
        user, port = next(iter(self.users.get(name, [])), ("", ""))
        return self._user(user) if self.kinds.get(user) == "Convert" else (user, port)

    def _root(self, name: str) -> str:
        """The constant that an operation's first input goes back to, if only read differently."""
        if self.kinds.get(name) in {"Convert", "Subtract"}:
            return self._root(self.sources[name, "0"])
        return name

    def weights(self) -> Iterator[WeightGroup]:
        """Every constant by itself, with its use."""
        projections = set(self._projections())
        for name, each in self.constants.items():
            use, is_matrix = self._use(name, projections)
            multiplied = is_matrix and not self.is_of_others(name)
            yield WeightGroup(
                use,
                each.type,
                each.n_bytes // (each.n_rows if use is Use.LOOKUP else 1),
                each.n_elements if multiplied else 0,
            )

    def _use(self, name: str, projections: set[str]) -> tuple[Use, bool]:
        """How often a constant is read, and whether it is a part of a matrix of a product."""
        ends = self._ends(name)
        products = {end for end in ends if self.kinds[end] == "MatMul"}
        if products:
            return (Use.OUTPUT if products & projections else Use.TOKENS), True
        looked_up = {self.kinds[end] for end in ends} == {"Gather"}
        return (Use.LOOKUP if looked_up else Use.TOKENS), False

    def _ends(self, name: str) -> frozenset[str]:
        """The operations in which a constant meets what is not constant."""
        ends, to_visit, visited = set(), [name], {name}
        while to_visit:
            for user, _ in self.users.get(to_visit.pop(), []):
                if user not in self.constant_ids:
                    ends.add(user)
                elif user not in visited:
                    visited.add(user)
                    to_visit.append(user)
        return frozenset(ends)

    def _projections(self) -> Iterator[str]:
        """The products that the graph's results come from."""
        for name, kind in self.kinds.items():
            if kind == "Result":
                yield from self._products_behind(self.sources[name, "0"])

    def _products_behind(self, name: str) -> tuple[str, ...]:
        """The product that an operation comes from, or the two of which it is the sum."""
        if self.kinds[name] == "MatMul" or (name, "0") not in self.sources:
            return (name,)
        if self.kinds[name] == "Add":
            both = self.sources[name, "0"], self.sources[name, "1"]
            if {self.kinds[each] for each in both} == {"MatMul"}:
                return both
        return self._products_behind(self.sources[name, "0"])


def _constant_ids(
    kinds: Mapping[str, str], sources: Mapping[tuple[str, str], str]
) -> frozenset[str]:
    """The constants, and what is worked out from constants alone."""
    known = {name: kind == "Const" for name, kind in kinds.items() if kind not in _FOLDED}

    def is_constant(name: str) -> bool:
        if name not in known:
            # What depends on itself is no constant.
            known[name] = False
            ports = ("0",) if kinds[name] == "Convert" else ("0", "1")
            known[name] = all(is_constant(sources[name, port]) for port in ports)
        return known[name]

    return frozenset(filter(is_constant, kinds))


def _state_values(layer: ET.Element) -> int:
    """What a token leaves in a variable of the state: its size but for batch and tokens."""
    data = layer.find("data")
    if layer.attrib["type"] != "ReadValue" or data is None:
        return 0
    shape = data.attrib.get("variable_shape", "0")
    return math.prod(int(size) for size in shape.split(",") if size.isdecimal())


def _query_values(layer: ET.Element) -> int:
    """The values of a token's queries in an attention: heads times their width."""
    if layer.attrib["type"] != "ScaledDotProductAttention":
        return 0
    sizes = [int(size.text or "") for size in layer.iterfind("input/port[@id='0']/dim")]
    return math.prod(size for size in sizes if size > 0)


def _constants(
    layers: Mapping[str, ET.Element],
) -> Iterable[tuple[str, _Constant]]:
    for name, layer in layers.items():
        if layer.attrib["type"] != "Const":
            continue
        data = layer.find("data").attrib  # type: ignore[union-attr]
        shape = [int(size) for size in data["shape"].split(",") if size.strip()]
        n_elements = math.prod(shape)
        if data["element_type"] not in _INDEX_TYPES and n_elements > 1:
            yield (
                name,
                _Constant(
                    layer.attrib.get("name", ""),
                    data["element_type"],
                    n_elements,
                    shape[0],
                    int(data["size"]),
                    int(data["offset"]),
                ),
            )


def _graph(net: _Net, file_bytes: int) -> Graph:
    constants = net.constants.values()
    end_bytes = max(each.offset_bytes + each.n_bytes for each in constants)
    if end_bytes > file_bytes:
        raise ValueError(f"{WEIGHTS} is cut off: {file_bytes:,} bytes instead of {end_bytes:,}")
    n_weights = Counter[str]()
    for name, each in net.constants.items():
        if not net.is_of_others(name):
            n_weights[each.type] += each.n_elements
    ((most, _),) = n_weights.most_common(1)
    return Graph(
        weight_bytes=sum(each.n_bytes for each in constants),
        n_weights=n_weights.total(),
        types=tuple(sorted({each.type for each in constants})),
        precision=_PRECISIONS.get(most, most.upper()),
        anatomy=Anatomy.of(net.weights(), net.kv_values, net.query_values),
    )
