"""The shape of a model: what it shares with others of its family, and its own sizes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from odllm_agent.formats.architectures.parts import Part

Value = bool | int | float | str | tuple[int | bool, ...]
"""Of a pair of metadata; a tuple has one number for each block."""

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor of what each rotary frequency is divided by; Llama 3.1 and 3.2 have it."""


@dataclass(frozen=True, slots=True)
class Family:
    """What models of one family share.

    Attributes:
        name: llama.cpp's name of the architecture.
        tokenizer: llama.cpp's name of how a text is cut before it is tokenized.
        begins_texts: Whether every text begins with a token of its own.
        context_tokens: The longest context that the models are made for.
        norm_epsilon: What keeps a norm from dividing by zero.
        rope_base: The base of the rotary embedding's frequencies.
        attention: The tensors of a block by which tokens see one another.
        feed_forward: Those that each token is run through by itself.
        rope_factor: By how much the slowest rotary frequencies are slowed down; 1 for not at all.
        state: The tensors of blocks that keep a state of fixed size in place of attention.
        dense: The feed-forward part of the first blocks, where it is another one there.
        output_norm: The name of the last norm.
        metadata: Further pairs that llama.cpp asks for, by key without the architecture's name.
    """

    name: str
    tokenizer: str
    begins_texts: bool
    context_tokens: int
    norm_epsilon: float
    rope_base: int
    attention: Part
    feed_forward: Part
    rope_factor: int = 1
    state: Part = field(default_factory=dict)
    dense: Part = field(default_factory=dict)
    output_norm: str = "output_norm.weight"
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experts:
    """The experts of a block.

    Attributes:
        total: How many there are.
        used: How many of them a token meets.
        ffn: The width of one.
        dense_blocks: The first blocks, which have none.
    """

    total: int
    used: int
    ffn: int
    dense_blocks: int = 0

    @property
    def pairs(self) -> Mapping[str, int]:
        """What metadata says of them."""
        dense = {"leading_dense_block_count": self.dense_blocks} if self.dense_blocks else {}
        return {
            "expert_count": self.total,
            "expert_used_count": self.used,
            "expert_feed_forward_length": self.ffn,
            **dense,
        }


@dataclass(frozen=True, slots=True)
class StateSpace:
    """What blocks of the kind of Mamba-2 keep.

    Attributes:
        heads: Into how many heads a token is taken apart.
        head: The width of one.
        state: The values that are kept of each value of a head.
        kernel: The tokens that its convolution sees.
        groups: How many groups of heads share what is put into their states.
    """

    heads: int
    head: int
    state: int
    kernel: int = 4
    groups: int = 1

    @property
    def inner(self) -> int:
        """The width of all heads."""
        return self.heads * self.head

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes that its tensors have."""
        convolved = self.inner + 2 * self.groups * self.state
        return {
            "inner": self.inner,
            "convolved": convolved,
            "gates_and_steps": self.inner + convolved + self.heads,
            "ssm_heads": self.heads,
            "ssm_kernel": self.kernel,
            "groups": self.groups,
            "group": self.inner // self.groups,
        }

    @property
    def pairs(self) -> Mapping[str, int]:
        """What metadata says of it."""
        return {
            "ssm.conv_kernel": self.kernel,
            "ssm.inner_size": self.inner,
            "ssm.state_size": self.state,
            "ssm.time_step_rank": self.heads,
            "ssm.group_count": self.groups,
        }


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of one model.

    Attributes:
        family: What it shares with others.
        layers: The number of transformer blocks.
        width: The width of the residual stream.
        ffn: The width of the feed-forward part; with experts, that of blocks that have none.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        vocabulary: The number of tokens.
        tied: Whether input and output share their embeddings.
        own_head_width: The width of a head, if it is not the width that is shared out among them.
        experts: The experts in place of the feed-forward part, if it has any.
        kernel: The tokens that a short convolution sees, if it has any.
        state_space: Its blocks of the kind of Mamba-2, if it has any.
        attention_blocks: The blocks with attention; `None` for all.
        metadata: Its own pairs besides those of its family, which they may replace.
    """

    family: Family
    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool
    own_head_width: int | None = None
    experts: Experts | None = None
    kernel: int = 0
    state_space: StateSpace | None = None
    attention_blocks: tuple[int, ...] | None = None
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.own_head_width or self.width // self.heads

    @property
    def n_weights(self) -> int:
        """The number of weights in all tensors."""
        return sum(math.prod(shape) for _, shape in self.tensor_shapes())

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes that its tensors have, by the names that parts know them by."""
        queries, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        sizes = {
            "width": self.width,
            "ffn": self.ffn,
            "gate_and_ffn": 2 * self.ffn,
            "head": self.head_width,
            "heads": self.heads,
            "queries": queries,
            "keys": keys,
            "queries_keys_values": queries + 2 * keys,
            "kernel": self.kernel,
            "gates_and_width": 3 * self.width,
        }
        if self.state_space:
            sizes |= self.state_space.sizes
        if self.experts:
            sizes |= {"experts": self.experts.total, "expert_ffn": self.experts.ffn}
        return sizes

    def has_attention(self, block: int) -> bool:
        """Whether tokens see one another in a block."""
        return self.attention_blocks is None or block in self.attention_blocks

    def tensor_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor's name and shape, rows first, in the order of the file."""
        width, vocabulary = self.width, self.vocabulary
        if self.family.rope_factor != 1:
            yield ROPE_FACTORS, (self.head_width // 2,)
        yield "token_embd.weight", (vocabulary, width)
        for block in range(self.layers):
            for part in self._parts(block):
                for name, sizes in part.items():
                    yield f"blk.{block}.{name}", tuple(map(self._size, sizes))
        yield self.family.output_norm, (width,)
        if not self.tied:
            yield "output.weight", (vocabulary, width)

    def pairs(self) -> Mapping[str, Value]:
        """Everything that its metadata says, by key without the architecture's name."""
        family, head = self.family, self.own_head_width
        return {
            "vocab_size": self.vocabulary,
            "context_length": family.context_tokens,
            "embedding_length": self.width,
            "block_count": self.layers,
            "feed_forward_length": self.ffn,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self._kv_heads(),
            "rope.dimension_count": self.head_width,
            "rope.freq_base": float(family.rope_base),
            "attention.layer_norm_rms_epsilon": family.norm_epsilon,
            **({"attention.key_length": head, "attention.value_length": head} if head else {}),
            **(self.experts.pairs if self.experts else {}),
            **(self.state_space.pairs if self.state_space else {}),
            **({"shortconv.l_cache": self.kernel} if self.kernel else {}),
            **family.metadata,
            **self.metadata,
        }

    def _size(self, size: str | int) -> int:
        return self.sizes[size] if isinstance(size, str) else size

    def _kv_heads(self) -> int | tuple[int, ...]:
        if self.attention_blocks is None:
            return self.kv_heads
        attending = map(self.has_attention, range(self.layers))
        return tuple(self.kv_heads if each else 0 for each in attending)

    def _parts(self, block: int) -> tuple[Part, Part]:
        family = self.family
        dense = self.experts is not None and block < self.experts.dense_blocks
        return (
            family.attention if self.has_attention(block) else family.state,
            family.dense if dense else family.feed_forward,
        )
