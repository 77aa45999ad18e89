"""llama-perplexity: its command line, and what it prints."""

import contextlib
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.tool import context_options
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError

T = TypeVar("T")

_ATTEMPTS = 4
_STAMP = r"(\d+)\.(\d\d)\.(\d{3})\.(\d{3}) I "
_STARTED = re.compile(_STAMP + "perplexity: tokenizing")
_ENDED = re.compile(_STAMP + "(?:perplexity: )?Final estimate")
_FIGURE = r"\s*:\s*(-?[\d.]+)"
# The last two are told in percent.
_FIGURES: Mapping[str, tuple[re.Pattern[str], float]] = {
    "perplexity": (re.compile(r"^Mean PPL\(Q\)" + _FIGURE, re.MULTILINE), 1.0),
    "kld": (re.compile(r"^Mean\s+KLD" + _FIGURE, re.MULTILINE), 1.0),
    "top1_agreement": (re.compile(r"^Same top p" + _FIGURE, re.MULTILINE), 1e-2),
    "delta_p_rms": (re.compile(r"^RMS .p\s*" + _FIGURE, re.MULTILINE), 1e-2),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text and how much of it is read.

    Attributes:
        path: Its file.
        window_tokens: Tokens per window.
        max_windows: Windows to read, or `None` for all.
    """

    path: Path
    window_tokens: int
    max_windows: int | None


def arguments(settings: LlamaCppSettings, model: Path, text: Text) -> list[str]:
    """The command line that lets llama-perplexity read a text with ODLLM's settings."""
    options: Mapping[str, object] = {
        "--model": model,
        "--file": text.path,
        "--ctx-size": text.window_tokens,
        "--chunks": -1 if text.max_windows is None else text.max_windows,
        **context_options(settings),
    }
    return [str(part) for option in options.items() for part in option]


def perplexity_s(tool: Path, settings: LlamaCppSettings, model: Path, text: Text) -> float:
    """The seconds in which it computes a perplexity: from tokenizing the text to the figure.

    Raises:
        EngineError: It fails, or prints something else.
    """
    return _answered(tool, arguments(settings, model, text), parse_s)


def figures(
    tool: Path, settings: LlamaCppSettings, files: tuple[Path, Path], text: Text, kept: Path
) -> dict[str, float]:
    """What `--kl-divergence` finds, by the names that ODLLM has for it.

    Args:
        tool: llama-perplexity.
        settings: The engine's settings.
        files: The model, and its base.
        text: What is read.
        kept: Where the base's probabilities are written.

    Raises:
        EngineError: It fails, or prints something else.
    """
    model, base = files
    _run(tool, [*arguments(settings, base, text), "--kl-divergence-base", str(kept)])
    compared = [*arguments(settings, model, text), "--kl-divergence-base", str(kept)]
    return _answered(tool, [*compared, "--kl-divergence"], parse_figures)


def parse_s(log: str) -> float:
    """The seconds between the time stamps of two lines of the log."""
    started, ended = _STARTED.search(log), _ENDED.search(log)
    if started is None or ended is None:
        raise _unknown(log)
    return _seconds(ended) - _seconds(started)


def parse_figures(log: str) -> dict[str, float]:
    """The figures of `--kl-divergence` as shares and nats."""
    found = {name: pattern.search(log) for name, (pattern, _) in _FIGURES.items()}
    if None in found.values():
        raise _unknown(log)
    return {name: float(told[1]) * _FIGURES[name][1] for name, told in found.items() if told}


def _answered(tool: Path, options: Sequence[str], parse: Callable[[str], T]) -> T:
    """What the tool says, asked again if its last words are missing.

    A thread writes its log, and its end does not wait for that thread.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(EngineError):
            return parse(_run(tool, options))
    return parse(_run(tool, options))


def _run(tool: Path, options: Sequence[str]) -> str:
    command = [str(tool), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise EngineError(
            f"llama-perplexity ended with status {done.returncode}: {done.stderr.strip()[-500:]}",
            f"try it by hand: {' '.join(command)}",
        )
    return done.stdout + done.stderr


def _seconds(line: re.Match[str]) -> float:
    minutes, seconds, ms, us = (int(part) for part in line.groups())
    return 60 * minutes + seconds + 1e-3 * ms + 1e-6 * us


def _unknown(log: str) -> EngineError:
    return EngineError(
        f"llama-perplexity's words are not understood: {log.strip()[-300:]}",
        "it has changed its output: install the pinned llama-cpp-python",
    )
