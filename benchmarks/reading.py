"""`python -m benchmarks.reading`: ODLLM's scores of a text beside llama-perplexity's.

Exit status: 0 all limits met, 1 one is not.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import llama_perplexity, turns
from benchmarks.comparison import trial
from benchmarks.llama_perplexity import Text
from benchmarks.load import watched
from benchmarks.spread import Spread
from benchmarks.subject import SHAPE, default_names, subjects
from benchmarks.tool import build
from odllm_agent import engines
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import (
    Engine,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Quantization,
    Reading,
    Source,
)
from odllm_agent.doctor import device
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.host.state import available_bytes
from odllm_agent.models import Cache, ladder, prepare
from odllm_agent.quality import reading
from odllm_agent.texts.text import text_sha256

PAIRS = 5
LEAST_SPEED_RATIO = 0.9
# Of the figures that llama-perplexity prints with digits enough to tell.
MOST_APART: Mapping[str, float] = {"perplexity": 0.001, "kld": 0.01}
_WINDOW_TOKENS = 256
# 2,048 tokens, enough for some seconds at the size of the random model.
_RANDOM_WINDOWS = 8
_KINDS = (Quantization("Q4_0"), Quantization("Q2_K"))


@dataclass(frozen=True, slots=True)
class Speed:
    """Reading speeds of one pair in tokens per second, and what disturbed it."""

    ours_tok_s: float
    theirs_tok_s: float
    flags: tuple[str, ...]


def main() -> int:
    """Compares speed and figures, prints both, and says which limits are not met."""
    out = Console(highlight=False)
    here = device.describe()
    tool = build("llama-perplexity")
    unmet = []
    for subject in subjects(default_names()):
        engine = trial(subject.model, here, "llama_cpp", threads=here.physical_cores).engine
        text = _text(subject.model.name)
        pairs = [
            _pair(tool, engine, subject.model, text, ours_first=n % 2 == 0) for n in range(PAIRS)
        ]
        unmet += _told_speed(out, subject.model, pairs)
    largest = [*ladder.origins()][-1]
    for kind in _KINDS:
        files = _file(largest, kind), _file(largest, Quantization("F16"))
        engine = trial(files[0], here, "llama_cpp", threads=here.physical_cores).engine
        unmet += _told_figures(out, tool, engine, files)
    for line in unmet:
        out.print(f"not met: {line}", style="bold red")
    return int(bool(unmet))


def _text(model: str) -> Text:
    path = ladder.folder() / "heldout.txt"
    return Text(path, _WINDOW_TOKENS, _RANDOM_WINDOWS if model == SHAPE else None)


def _file(name: str, kind: Quantization) -> ModelFile:
    request = ModelRequest(name, Source.REFERENCE, name, kind)
    return prepare(request, Cache.of_this_device(), available_bytes())


def _pair(tool: Path, engine: Engine, model: ModelFile, text: Text, *, ours_first: bool) -> Speed:
    with watched() as disturbance:
        if ours_first:
            ours_s, n_tokens = _ours_s(engine, model, text)
        theirs_s = llama_perplexity.perplexity_s(tool, _settings(engine), Path(model.path), text)
        if not ours_first:
            ours_s, n_tokens = _ours_s(engine, model, text)
    return Speed(n_tokens / ours_s, n_tokens / theirs_s, disturbance.flags)


def _ours_s(engine: Engine, model: ModelFile, text: Text) -> tuple[float, int]:
    """The seconds from tokenizing a text to its perplexity, after one warm-up; and its tokens."""
    wanted = Reading(str(text.path), "", text.window_tokens, text.max_windows, ("perplexity",))
    words = text.path.read_text(encoding="utf-8")
    with _silent(), engines.load(engine, model, text.window_tokens) as session:
        session.logits(range(text.window_tokens), text.window_tokens // 2)
        start = monotonic_ns()
        parts = reading.windows(session.tokenize(words), wanted, session.start_token)
        reading.scores(wanted.metrics, reading.read(session, parts))
        return seconds_since(start), len(parts) * text.window_tokens


def _told_speed(out: Console, model: ModelFile, pairs: list[Speed]) -> list[str]:
    counted = turns.counted(pairs)
    ratio = Spread.of([pair.ours_tok_s / pair.theirs_tok_s for pair in counted])
    ours = Spread.of([pair.ours_tok_s for pair in counted]).median
    theirs = Spread.of([pair.theirs_tok_s for pair in counted]).median
    out.print(
        f"{model.label}: perplexity read at {ours:,.0f} tok/s, "
        f"llama-perplexity {theirs:,.0f}, ratio {turns.told(ratio, pairs)}"
    )
    if ratio.median >= LEAST_SPEED_RATIO:
        return []
    return [f"{model.name}: {ratio.median:.3f} of llama-perplexity, wanted {LEAST_SPEED_RATIO}"]


def _told_figures(
    out: Console, tool: Path, engine: Engine, files: tuple[ModelFile, ModelFile]
) -> list[str]:
    model, base = files
    text = _text(model.name)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(model.path), Path(base.path)
        kept = Path(folder, "base")
        theirs = llama_perplexity.figures(tool, _settings(engine), paths, text, kept)
    ours = _our_figures(engine, model, base, tuple(theirs))
    unmet = []
    for name, value in theirs.items():
        apart = abs(ours[name] / value - 1)
        out.print(
            f"{model.label}: {name} {ours[name]:.6f}, llama-perplexity "
            f"{value:.6f}, {100 * apart:.3f} % apart"
        )
        if apart > MOST_APART.get(name, 1.0):
            unmet.append(f"{model.label}: {name} is {100 * apart:.2f} % apart")
    return unmet


def _our_figures(
    engine: Engine, model: ModelFile, base: ModelFile, names: tuple[str, ...]
) -> dict[str, float]:
    wanted = Reading("reference", text_sha256("reference"), _WINDOW_TOKENS, None, names)
    check = QualityCheck("bench", model, engine, wanted, None, base)
    with _silent():
        return {score.metric: score.value or 0.0 for score in reading.evaluate(check, wanted)}


def _settings(engine: Engine) -> LlamaCppSettings:
    return LlamaCppSettings(**engine.settings)  # type: ignore[arg-type]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps llama.cpp's own words off the terminal."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
