"""What a trained model knows: its held-out perplexity and its answers to the questions."""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.corpus import Question
from training.model import Model
from training.train import held_out_loss, held_out_windows


def perplexity(model: Model, tokenizer: Tokenizer, seed: int) -> float:
    """Return the held-out perplexity over windows of the trained context."""
    return math.exp(held_out_loss(model, held_out_windows(tokenizer, seed)))


def accuracies(
    model: Model, tokenizer: Tokenizer, questions: Sequence[Question]
) -> dict[str, float]:
    """Return the share of right answers (0 to 1) by kind of question."""
    results: defaultdict[str, list[bool]] = defaultdict(list)
    for question in questions:
        results[question.kind].append(chosen(model, tokenizer, question) == question.answer)
    return {kind: sum(right) / len(right) for kind, right in results.items()}


def chosen(model: Model, tokenizer: Tokenizer, question: Question) -> int:
    """Return the position of the choice with the highest probability after the prompt."""
    scores = [choice_score(model, tokenizer, question.prompt, c) for c in question.choices]
    return scores.index(max(scores))


def choice_score(model: Model, tokenizer: Tokenizer, prompt: str, choice: str) -> float:
    """Return the log-probability (nats) of a choice, read after the prompt and one space."""
    start = len(tokenizer.encode(prompt).ids)
    ids = torch.tensor(tokenizer.encode(f"{prompt} {choice}").ids)
    with torch.no_grad():
        logits = model(ids[None, :-1])[0, start - 1 :]
    return -float(functional.cross_entropy(logits.float(), ids[start:], reduction="sum"))
