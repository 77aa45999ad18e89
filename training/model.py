"""The qwen2 architecture, small, with the tensor names of its GGUF form."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.tokenizer import VOCAB_SIZE

ROPE_THETA = 10_000.0
NORM_EPS = 1e-6
HEAD_WIDTH = 64
TRAINED_CONTEXT = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a model.

    Every width is a multiple of 256, the block of the K-quants; with another width the quantizer
    would fall back to a wider type.
    """

    width: int
    layers: int
    ffn: int
    heads: int
    kv_heads: int


SHAPES = {
    "s": Shape(width=256, layers=2, ffn=512, heads=4, kv_heads=4),
    "m": Shape(width=256, layers=3, ffn=768, heads=4, kv_heads=4),
    "l": Shape(width=512, layers=3, ffn=1024, heads=8, kv_heads=4),
}


def rope(x: Tensor) -> Tensor:
    """Rotate the halves of each head by its position (NEOX pairing).

    Args:
        x: Queries or keys, batch x heads x positions x head width.
    """
    half = x.shape[-1] // 2
    rates = ROPE_THETA ** (-torch.arange(half, dtype=torch.float32) / half)
    angles = torch.outer(torch.arange(x.shape[-2], dtype=torch.float32), rates)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Block(nn.Module):  # type: ignore[misc]
    """Attention and a gated feed-forward layer, each on top of a norm."""

    def __init__(self, shape: Shape) -> None:
        """Make a layer with untrained weights."""
        super().__init__()
        self.shape = shape
        width, kv_width = shape.width, shape.kv_heads * HEAD_WIDTH
        self.attn_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.attn_q = nn.Linear(width, shape.heads * HEAD_WIDTH)
        self.attn_k = nn.Linear(width, kv_width)
        self.attn_v = nn.Linear(width, kv_width)
        self.attn_output = nn.Linear(shape.heads * HEAD_WIDTH, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.ffn_gate = nn.Linear(width, shape.ffn, bias=False)
        self.ffn_up = nn.Linear(width, shape.ffn, bias=False)
        self.ffn_down = nn.Linear(shape.ffn, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, batch x positions x width, for an input of that shape."""
        x = x + self._attend(self.attn_norm(x))
        y = self.ffn_norm(x)
        out: Tensor = x + self.ffn_down(functional.silu(self.ffn_gate(y)) * self.ffn_up(y))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, -1, HEAD_WIDTH).transpose(1, 2)

        q, k, v = rope(heads(self.attn_q(x))), rope(heads(self.attn_k(x))), heads(self.attn_v(x))
        shared_by = self.shape.heads // self.shape.kv_heads
        if shared_by > 1:
            k, v = k.repeat_interleave(shared_by, dim=1), v.repeat_interleave(shared_by, dim=1)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.attn_output(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out


class Model(nn.Module):  # type: ignore[misc]
    """A causal language model whose output matrix is its embedding."""

    def __init__(self, shape: Shape) -> None:
        """Make a model with untrained weights, from torch's current random state."""
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(VOCAB_SIZE, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=_spread(name, shape))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits, batch x positions x vocabulary, for ids, batch x positions."""
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x)
        logits: Tensor = functional.linear(self.output_norm(x), self.token_embd.weight)
        return logits

    def parameter_count(self) -> int:
        """Return the number of weights."""
        return sum(parameter.numel() for parameter in self.parameters())


def _spread(name: str, shape: Shape) -> float:
    if name.startswith("token_embd"):
        return 0.02
    # Layers add up along the residual path; smaller outputs keep its size steady at the start.
    is_residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
    inputs = shape.ffn if "ffn_down" in name else shape.width
    return float(inputs**-0.5 * (0.5 / shape.layers**0.5 if is_residual else 0.7))
