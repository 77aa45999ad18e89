"""Models: what is asked for, and the file that came of it."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from odllm_agent.contract.bpw import bits_per_weight
from odllm_agent.contract.quantization import Quantization

ENDLESS = sys.maxsize
"""The tokens of a window that no context outgrows."""

PINNED_PACKAGE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?==[0-9][A-Za-z0-9.!+_-]*"
"""What names a Python package at a version, as pip reads it."""


_TEXT = "text:"


class Source(StrEnum):
    """Where a model comes from."""

    REFERENCE = "reference"
    FILE = "file"
    SHAPE = "shape"
    HUB = "hub"
    PACKAGE = "package"


class Format(StrEnum):
    """How a model lies on a disk: a GGUF file, or a folder of OpenVINO's own representation."""

    GGUF = "gguf"
    OPENVINO_IR = "openvino_ir"


class Use(StrEnum):
    """How often a window reads weights of a model."""

    TOKENS = "tokens"  # for every token
    OUTPUT = "output"  # where a token's logits are wanted
    LOOKUP = "lookup"  # one row for every token


@dataclass(frozen=True, slots=True)
class ImatrixSource:
    """Where the importance matrix of a model comes from.

    Attributes:
        place: The path of its file on the device, or `text:` and the name or path of a text that
            the model reads to make one.
        first_token: Of a text, the first token that is read. Those before it are what the quality
            of the files will be measured on.
    """

    place: str
    first_token: int = 0

    @property
    def text(self) -> str | None:
        """The name or path of the text, or `None` where there is a file."""
        return self.place.removeprefix(_TEXT) if self.place.startswith(_TEXT) else None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model file that an experiment asks a device to have.

    Attributes:
        name: The model's name in the experiment, such as `reference-1.6M`.
        source: Where the unquantized (or ready) file comes from.
        location: The reference model's name, a path on the device, an architecture's name, a file
            of a hub as `OWNER/REPOSITORY/FILE@REVISION`, or Python packages that hold a file, as
            `NAME==VERSION,NAME==VERSION/FILE`. Of a split model it names the first part.
        quantization: The type to make, or `None` to take the file as it is.
        sha256: The checksum that the source must have, or `None` if none was stated.
        seed: What the weights of a shape are drawn from.
        requantize: Whether other types may be made of a source that is quantized already.
        imatrix: Where the importance matrix comes from, for a quantization that wants one.
        is_named: Whether the experiment gives the model its name; otherwise its file does.
    """

    name: str
    source: Source
    location: str
    quantization: Quantization | None = None
    sha256: str | None = None
    seed: int = 0
    requantize: bool = False
    imatrix: ImatrixSource | None = None
    is_named: bool = True

    @property
    def label(self) -> str:
        """What people are told: its name and type."""
        return f"{self.name} {self.quantization or 'as it is'}"


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """Weights of one type that a model uses in one way.

    Attributes:
        use: How often a window reads them.
        type: Their type by the engine's name, such as ggml's `Q4_K` or OpenVINO's `u4`.
        n_bytes: Their bytes; of those that are looked up, the bytes of a row.
        n_multiplied: How many of them are multiplied with an activation each time they are read.
        experts: The equally large experts that they are shared out among; 1 if they are not.
        experts_used: How many of these a token meets.
    """

    use: Use
    type: str
    n_bytes: int
    n_multiplied: int = 0
    experts: int = 1
    experts_used: int = 1

    @property
    def share(self) -> float:
        """The part of them that one token meets."""
        return self.experts_used / self.experts

    def met(self, tokens: int) -> float:
        """The part of them that any of some tokens meets, in expectation.

        Each token is taken to draw its experts by itself, all with the same chance. Tokens that
        prefer some experts meet fewer.
        """
        return 1.0 - (1.0 - self.share) ** tokens


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """Blocks whose tokens look back at the same number of tokens only.

    Attributes:
        tokens: How many, a token itself among them.
        kv_values: Keys and values that each token leaves in their cache, in all of them together.
        query_values: Values of the queries that each token asks it with.
    """

    tokens: int
    kv_values: int
    query_values: int


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What a model consists of, as far as its speed depends on it.

    Attributes:
        weights: Its weights by use and type; none where they cannot be told.
        kv_values: Keys and values that each token meets of another, in all blocks together.
        query_values: Values of the queries that each token asks them with, in all blocks together.
        reason: Why this cannot be told, or `""`.
        windows: The blocks among them that look back at some tokens only, by how many.
        state_bytes: What blocks without attention keep of all tokens before, as recurrent and
            convolutional ones do.
    """

    weights: tuple[WeightGroup, ...] = ()
    kv_values: int = 0
    query_values: int = 0
    reason: str = ""
    windows: tuple[SlidingWindow, ...] = ()
    state_bytes: int = 0

    @classmethod
    def of(
        cls,
        parts: Iterable[WeightGroup],
        kv_values: int,
        query_values: int,
        windows: Iterable[SlidingWindow] = (),
        state_bytes: int = 0,
    ) -> "Anatomy":
        """What a model consists of, its weights and windows in any parts and order."""
        sums: dict[tuple[Use, str, int, int], tuple[int, int]] = {}
        for part in parts:
            key = part.use, part.type, part.experts, part.experts_used
            n_bytes, n_multiplied = sums.get(key, (0, 0))
            sums[key] = n_bytes + part.n_bytes, n_multiplied + part.n_multiplied
        groups = tuple(
            WeightGroup(use, kind, *amounts, *experts)
            for (use, kind, *experts), amounts in sorted(sums.items())
        )
        return cls(
            groups,
            kv_values,
            query_values,
            windows=tuple(_joined(windows)),
            state_bytes=state_bytes,
        )

    def looks_back(self) -> Iterator[SlidingWindow]:
        """Its blocks by how far they look back; those that see all tokens in a window of no end."""
        windows = self.windows
        yield SlidingWindow(
            ENDLESS,
            self.kv_values - sum(each.kv_values for each in windows),
            self.query_values - sum(each.query_values for each in windows),
        )
        yield from windows


def _joined(windows: Iterable[SlidingWindow]) -> Iterator[SlidingWindow]:
    sums: dict[int, tuple[int, int]] = {}
    for each in windows:
        kv_values, query_values = sums.get(each.tokens, (0, 0))
        sums[each.tokens] = kv_values + each.kv_values, query_values + each.query_values
    return (SlidingWindow(tokens, *values) for tokens, values in sorted(sums.items()))


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when its checksum was taken.

    Attributes:
        path: Where it lies on the device.
        sha256: The checksum of its bytes.
        device: The file system that it lies on, as `stat` has it.
        inode: Its number there; not lasting on every file system of a network.
        file_bytes: Its size.
        modified_ns: When its bytes were last changed.
        changed_ns: When anything of it was last changed; on Windows, when it was made.
    """

    path: str
    sha256: str
    device: int
    inode: int
    file_bytes: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says of itself to people; texts are empty where it says nothing.

    Attributes:
        title: The model's name.
        license: Its licence.
        tokenizer: The kind of its tokenizer.
        vocabulary_tokens: The tokens of its vocabulary, or `None`.
        has_chat_template: Whether it brings a template for chats, or `None` if that is not known.
        imatrix: The text by which whoever quantized it made an importance matrix.
    """

    title: str = ""
    license: str = ""
    tokenizer: str = ""
    vocabulary_tokens: int | None = None
    has_chat_template: bool | None = None
    imatrix: str = ""


@dataclass(frozen=True, slots=True)
class TypeShare:
    """How much of a file is of one type.

    Attributes:
        type: The type by the engine's name, such as ggml's `Q4_K`.
        n_weights: The weights of this type.
    """

    type: str
    n_weights: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file as it lies on a device, described by its own content.

    Attributes:
        name: The model's name in the experiment, or what its file calls it.
        quantization: What it was made to be, such as `Q4_K_M+imatrix`; of a ready file, the type
            by llama.cpp's name that its header says.
        sha256: The checksum of the file's bytes; of a split model, that of the list of its parts'
            checksums, one a line.
        path: Where the file, or the first part, lies on the device; not part of a trial's identity.
        file_bytes: The size of the file, or of all parts.
        weight_bytes: The bytes of all weight tensors.
        n_weights: The number of weights in them.
        architecture: The architecture's name in the header, such as `qwen2`.
        context_tokens: The longest context that the model was made for.
        tensor_types: The distinct types of its tensors, sorted; of a GGUF file by ggml's names.
        format: How it lies on the disk.
        no_quality: Why its quality cannot be told, or `""`.
        anatomy: What it consists of.
        source: Where its weights came from, or `None` if that is not known.
        files: Each of its files as it was when the checksum was taken; none where that is not
            known, as of a file that is only foreseen.
        mix: How much of it is of which type, the most first.
        card: What it says of itself.
        remarks: What else must be known to read its figures rightly, a sentence each.
    """

    name: str
    quantization: str
    sha256: str
    path: str
    file_bytes: int
    weight_bytes: int
    n_weights: int
    architecture: str
    context_tokens: int
    tensor_types: tuple[str, ...] = ()
    format: Format = Format.GGUF
    no_quality: str = ""
    anatomy: Anatomy = Anatomy(reason="the model's description does not tell what it consists of")
    source: Source | None = None
    files: tuple[FileState, ...] = ()
    mix: tuple[TypeShare, ...] = ()
    card: Card = Card()
    remarks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What people are told: its name and type."""
        return f"{self.name} {self.quantization}"

    @property
    def file_bpw(self) -> float:
        """Bits per weight of the file; see `bits_per_weight`."""
        return bits_per_weight(self.weight_bytes, self.n_weights)

    def met_share(self, tokens: int = 1) -> float:
        """The part of its weights, by bytes, that any of some tokens meets: all but for experts."""
        missed = sum(each.n_bytes * (1.0 - each.met(tokens)) for each in self.anatomy.weights)
        return 1.0 - missed / self.weight_bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model file is that is being fetched or made.

    Attributes:
        what: What is done, such as `fetching tiny-F16.gguf` or `making Q4_0`.
        done_bytes: What is there of it.
        total_bytes: What it will have; of a file whose size is not known, what it surely has.
    """

    what: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A model that lies in a device's cache, or a file that is not finished.

    Attributes:
        sha256: The checksum of the model; of an unfinished file, the name that it has meanwhile.
        origin: What people call it: where it came from, or what it was made of.
        quantization: Its type; `unfinished` or `damaged` if it cannot be told.
        file_bytes: Its size.
        used_at: When it was last asked for, in UTC.
    """

    sha256: str
    origin: str
    quantization: str
    file_bytes: int
    used_at: datetime
