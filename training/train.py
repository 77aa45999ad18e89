"""Train the reference ladder: ``python -m training.train --size all --out DIR``."""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from training.corpus import SEED, held_out_text, training_documents
from training.model import SHAPES, TRAINED_CONTEXT, Model
from training.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer

BATCH = 8
TOKENS_PER_STEP = BATCH * TRAINED_CONTEXT
DEFAULT_TOKENS = 9_000_000
# Wider models want smaller steps.
PEAK_RATES = {"s": 2.5e-3, "m": 2e-3, "l": 1e-3}
WARM_UP_STEPS = 150
WEIGHT_DECAY = 0.1
GRADIENT_LIMIT = 1.0
STEPS_PER_LOG = 20
STEPS_PER_CHECKPOINT = 300
_DOCUMENTS_PER_ENCODING = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """What one training run is asked to do, and where it keeps its files."""

    size: str
    tokens: int
    seed: int
    out: Path

    @property
    def steps(self) -> int:
        """The number of optimizer steps."""
        return self.tokens // TOKENS_PER_STEP

    @property
    def log(self) -> Path:
        """JSON lines of step, tokens, loss and held-out loss (nats per token)."""
        return self.out / f"{self.size}.log.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The state from which an interrupted run goes on."""
        return self.out / f"{self.size}.checkpoint.pt"

    @property
    def weights(self) -> Path:
        """The final weights."""
        return self.out / f"{self.size}.weights.pt"


def stored_tokenizer(out: Path, seed: int) -> Tokenizer:
    """Return the tokenizer in ``out``, training it first if there is none."""
    path = out / "tokenizer.json"
    if not path.exists():
        train_tokenizer(seed).save(str(path))
    return load_tokenizer(path)


def training_windows(out: Path, tokenizer: Tokenizer, seed: int, tokens: int) -> Tensor:
    """Return the training text in shuffled windows, each read once.

    Returns:
        Token ids, windows x (trained context + 1).
    """
    count = tokens // TOKENS_PER_STEP * BATCH
    path = out / f"windows-{seed}-{count}.npy"
    if not path.exists():
        needed = count * TRAINED_CONTEXT + 1
        np.save(path, np.array(_token_stream(tokenizer, seed, needed), dtype=np.int16))
    stream = torch.from_numpy(np.load(path))
    windows = stream.unfold(0, TRAINED_CONTEXT + 1, TRAINED_CONTEXT)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return windows[order]


def _token_stream(tokenizer: Tokenizer, seed: int, length: int) -> list[int]:
    end = tokenizer.token_to_id(END_OF_TEXT)
    documents = training_documents(seed)
    stream: list[int] = []
    while len(stream) < length:
        texts = [next(documents) for _ in range(_DOCUMENTS_PER_ENCODING)]
        for encoding in tokenizer.encode_batch(texts):
            stream += [*encoding.ids, end]
    return stream[:length]


def held_out_windows(tokenizer: Tokenizer, seed: int) -> Tensor:
    """Return the held-out text's token ids, windows x trained context; the rest is dropped."""
    ids = torch.tensor(tokenizer.encode(held_out_text(seed)).ids)
    count = len(ids) // TRAINED_CONTEXT
    return ids[: count * TRAINED_CONTEXT].view(count, TRAINED_CONTEXT)


def held_out_loss(model: Model, windows: Tensor) -> float:
    """Return the mean loss (nats per token) of every token but the first of each window."""
    total = 0.0
    with torch.no_grad():
        for part in windows.split(BATCH):
            total += window_loss(model, part).item() * len(part)
    return total / len(windows)


def window_loss(model: Model, windows: Tensor) -> Tensor:
    """Return the mean loss (nats per token) over windows of token ids, windows x length."""
    ids = windows.long()
    logits = model(ids[:, :-1]).float()
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: a linear rise, then half a cosine down to zero."""
    if step < WARM_UP_STEPS:
        return peak * (step + 1) / WARM_UP_STEPS
    progress = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


def _optimizer(model: Model) -> Optimizer:
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return AdamW(groups, betas=(0.9, 0.95))


def _step(model: Model, optimizer: Optimizer, windows: Tensor, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = window_loss(model, windows)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_LIMIT)
    optimizer.step()
    reached: float = loss.item()
    return reached


def _resume(run: Run, model: Model, optimizer: Optimizer) -> tuple[int, float]:
    """Take up the run's checkpoint, if any, and drop the log lines that come after it.

    Returns:
        The steps done and the seconds that they took.
    """
    if not run.checkpoint.exists():
        run.log.write_text("")
        return 0, 0.0
    state = torch.load(run.checkpoint)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    entries = [e for e in read_log(run.log) if e["step"] <= state["step"]]
    run.log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return int(state["step"]), float(entries[-1]["elapsed_s"])


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a run's log, in the order of their steps."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _save(run: Run, model: Model, optimizer: Optimizer, step: int) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    partial = run.checkpoint.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(run.checkpoint)


def _record(run: Run, entry: dict[str, float | None]) -> None:
    print(run.size, json.dumps(entry), flush=True)
    with run.log.open("a") as log:
        log.write(json.dumps(entry) + "\n")


def train(run: Run) -> None:
    """Train one model to its end, going on from its checkpoint if there is one."""
    torch.manual_seed(run.seed)
    tokenizer = stored_tokenizer(run.out, run.seed)
    windows = training_windows(run.out, tokenizer, run.seed, run.tokens)
    held_out = held_out_windows(tokenizer, run.seed)
    model = Model(SHAPES[run.size])
    optimizer = _optimizer(model)
    done, elapsed_s = _resume(run, model, optimizer)
    started, losses = time.monotonic() - elapsed_s, []
    for step in range(done, run.steps):
        batch = windows[step * BATCH : (step + 1) * BATCH]
        rate = learning_rate(step, run.steps, PEAK_RATES[run.size])
        losses.append(_step(model, optimizer, batch, rate))
        reached = step + 1
        is_mark = reached % STEPS_PER_CHECKPOINT == 0 or reached == run.steps
        if reached % STEPS_PER_LOG == 0 or is_mark:
            _record(
                run,
                {
                    "step": reached,
                    "tokens": reached * TOKENS_PER_STEP,
                    "loss": round(sum(losses) / len(losses), 4),
                    "held_out_loss": round(held_out_loss(model, held_out), 4) if is_mark else None,
                    "elapsed_s": round(time.monotonic() - started, 1),
                },
            )
            losses = []
        if is_mark:
            _save(run, model, optimizer, reached)
    torch.save(model.state_dict(), run.weights)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--size", choices=(*SHAPES, "all"), default="all")
    parser.add_argument("--tokens", type=int, default=DEFAULT_TOKENS, help="tokens to train on")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, required=True, help="folder for logs and weights")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for size in reversed(SHAPES) if options.size == "all" else (options.size,):
        train(Run(size, options.tokens, options.seed, options.out))


if __name__ == "__main__":
    main()
