"""The ladder's model card, filled from the logs of the training it describes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.model import TRAINED_CONTEXT, Shape
from training.train import BATCH

_LOSS_ROWS = 8

_CARD = """\
# The reference ladder of ODLLM

Three sizes of one small language model of the qwen2 architecture, trained from scratch. They ship
with ODLLM so that quality against bits per weight can be measured on any device without a download:
more weights give a lower perplexity, fewer bits a higher one.

**Not for use as an assistant.** They know nothing of the real world: only a made-up one of towns,
people and animals, small sums, and short stories from a fixed grammar. Their quality says nothing
of any published model's.

| model | file | bytes | weights | width | layers | ffn | heads | kv heads |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{models}

Every matrix has rows of a multiple of 256 weights, so each K-quant is what its name says and none
falls back to another type. Matrices are F16, norms and biases F32, the output matrix is the
embedding. `ladder.json` holds checksums.

## Context

**Trained context {context} tokens** (metadata key `odllm.trained_context_length`). The files state
a context length of 2048 so that engines accept long prompts for measurements of speed; text beyond
{context} tokens must not be judged. Perplexity is taken over windows of {context} tokens, each
window starting afresh.

## Text

All text comes from `training/corpus.py` at seed {seed}; no text of any person or site was used. It
is plain ASCII English: facts about invented entities, each said in several ways (two fifths of the
tokens), stories in which names, things and tools come back (a third), additions, subtractions
and products of small numbers, bare and as word problems (the rest). Passages are separated by a
blank line, and groups of passages by `<|endoftext|>`. The tokenizer, a byte-level BPE of 1024
tokens with qwen2's splitting, was trained on the same text.

`heldout.txt` is kept apart from it by rules: stories of pairs of hero and thing, and sums of pairs
of operands, that training never shows (a product is shown in its other order); facts that training
does show, in sentences that it never uses for them. `questions.jsonl` follows the same rules. Score
each choice by its log-probability after the prompt and one space; chance is 25 %.

## Training

    pip install -r training/requirements.txt
    python -m training.train --size all --tokens {tokens} --seed {seed} --out DIR

AdamW, bfloat16 autocast, {batch} windows of {context} tokens to a step, {steps} steps,
{trained} tokens for every size, each token seen once; warm-up, then a cosine to zero. Hardware:
{hardware}. Time: {times}.

Loss on the training text, held-out loss in brackets, in nats per token:

{losses}

## Results

Of the F16 files' weights, computed in float32 with torch. Accuracy is the share of questions
answered right.

{results}

## Licence

Apache-2.0, as ODLLM.
"""


@dataclass(frozen=True, slots=True)
class LadderEntry:
    """One model of the ladder: its file, its training log and what it reached."""

    name: str
    file: str
    sha256: str
    bytes: int
    n_params: int
    shape: Shape
    log: tuple[dict[str, Any], ...]
    held_out_perplexity: float
    accuracies: dict[str, float]

    @property
    def trained_tokens(self) -> int:
        """Tokens seen in training."""
        return int(self.log[-1]["tokens"])


def model_card(entries: Sequence[LadderEntry], seed: int, hardware: str) -> str:
    """Return the card, in Markdown."""
    tokens = entries[0].trained_tokens
    minutes = [f"{entry.name} {entry.log[-1]['elapsed_s'] / 60:.0f} minutes" for entry in entries]
    return _CARD.format(
        models="\n".join(_model_row(entry) for entry in entries),
        context=TRAINED_CONTEXT,
        batch=BATCH,
        seed=seed,
        tokens=tokens,
        trained=f"{tokens:,}",
        steps=f"{entries[0].log[-1]['step']:,}",
        hardware=hardware,
        times=", ".join(minutes),
        losses=_loss_table(entries),
        results=_result_table(entries),
    )


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(*cells: str) -> str:
    return _row(*cells) + "\n" + _row(*["---"] * len(cells))


def _model_row(entry: LadderEntry) -> str:
    shape = entry.shape
    return _row(
        entry.name,
        f"`{entry.file}`",
        f"{entry.bytes:,}",
        f"{entry.n_params:,}",
        shape.width,
        shape.layers,
        shape.ffn,
        shape.heads,
        shape.kv_heads,
    )


def _loss_table(entries: Sequence[LadderEntry]) -> str:
    by_step = [{e["step"]: e for e in entry.log if e["held_out_loss"]} for entry in entries]
    steps = sorted(by_step[0])
    # The last step is the one that counts; the rows above it are spread evenly.
    shown = steps[:: -math.ceil(len(steps) / _LOSS_ROWS)][::-1]
    rows = [
        _row(
            step,
            *(f"{log[step]['loss']:.3f} ({log[step]['held_out_loss']:.3f})" for log in by_step),
        )
        for step in shown
    ]
    return "\n".join([_head("step", *(entry.name for entry in entries)), *rows])


def _result_table(entries: Sequence[LadderEntry]) -> str:
    kinds = sorted(entries[0].accuracies)
    rows = [
        _row(
            entry.name,
            f"{entry.held_out_perplexity:.3f}",
            *(f"{entry.accuracies[kind]:.0%}" for kind in kinds),
        )
        for entry in entries
    ]
    head = _head("model", "held-out perplexity", *(f"{kind} questions" for kind in kinds))
    return "\n".join([head, *rows])
