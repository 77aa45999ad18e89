"""Write the shipped ladder: ``python -m training.export --trained DIR --out DIR ...``."""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from training.card import LadderEntry, model_card
from training.corpus import SEED, held_out_text, questions, to_json_lines
from training.evaluate import accuracies, perplexity
from training.gguf_file import rounded_like_file, write_gguf
from training.model import SHAPES, TRAINED_CONTEXT, Model
from training.tokenizer import load_tokenizer
from training.train import read_log

HELD_OUT_FILE = "heldout.txt"
QUESTIONS_FILE = "questions.jsonl"
LADDER_FILE = "ladder.json"
CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Job:
    """Where the trained weights are, where the files go, and what the card should tell."""

    trained: Path
    out: Path
    seed: int
    hardware: str


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export(job: Job) -> None:
    """Write the models, the texts, the ladder's description and the model card."""
    job.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(job.trained / "tokenizer.json")
    (job.out / HELD_OUT_FILE).write_text(held_out_text(job.seed))
    (job.out / QUESTIONS_FILE).write_text(to_json_lines(questions(job.seed)))
    entries = [_export_model(job, size, tokenizer) for size in SHAPES]
    description = _description(job, entries)
    (job.out / LADDER_FILE).write_text(json.dumps(description, indent=2) + "\n")
    (job.out / CARD_FILE).write_text(model_card(entries, job.seed, job.hardware))


def _export_model(job: Job, size: str, tokenizer: Tokenizer) -> LadderEntry:
    model = Model(SHAPES[size])
    model.load_state_dict(torch.load(job.trained / f"{size}.weights.pt"))
    rounded_like_file(model)
    n_params = model.parameter_count()
    name = f"reference-{n_params / 1e6:.1f}M"
    path = job.out / f"{name}-F16.gguf"
    write_gguf(path, name, model, tokenizer)
    return LadderEntry(
        name=name,
        file=path.name,
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        n_params=n_params,
        shape=SHAPES[size],
        log=tuple(read_log(job.trained / f"{size}.log.jsonl")),
        held_out_perplexity=perplexity(model, tokenizer, job.seed),
        accuracies=accuracies(model, tokenizer, questions(job.seed)),
    )


def _description(job: Job, entries: list[LadderEntry]) -> dict[str, Any]:
    return {
        "seed": job.seed,
        "trained_context": TRAINED_CONTEXT,
        "heldout_file": HELD_OUT_FILE,
        "heldout_sha256": sha256_of(job.out / HELD_OUT_FILE),
        "questions_file": QUESTIONS_FILE,
        "questions_sha256": sha256_of(job.out / QUESTIONS_FILE),
        "models": [_model_description(entry) for entry in entries],
    }


def _model_description(entry: LadderEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "file": entry.file,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "n_params": entry.n_params,
        **asdict(entry.shape),
        "trained_tokens": entry.trained_tokens,
        "heldout_perplexity": round(entry.held_out_perplexity, 4),
        "accuracy": {kind: round(share, 4) for kind, share in sorted(entry.accuracies.items())},
    }


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--trained", type=Path, required=True, help="the --out of training.train")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shipped files")
    parser.add_argument("--seed", type=int, default=SEED, help="the seed of the training")
    parser.add_argument("--hardware", required=True, help="what the models were trained on")
    options = parser.parse_args()
    export(Job(options.trained, options.out, options.seed, options.hardware))


if __name__ == "__main__":
    main()
