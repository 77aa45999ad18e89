"""llama-bench: its command line, and the JSON that it prints."""

import json
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peer import OUTPUT_TOKENS, PROMPT_TOKENS, Speed
from benchmarks.tool import context_options
from odllm_agent.contract import Repeat, Trial
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError

_SWITCH = {False: "0", True: "1"}


@dataclass(frozen=True, slots=True)
class LlamaBench:
    """llama-bench as ODLLM's peer.

    Attributes:
        tool: The program.
        name: What to call it.
    """

    tool: Path
    name: str = "llama-bench"

    def prefill_s(self, repeat: Repeat) -> float:
        """It samples nothing."""
        return repeat.prefill_s

    def speed(self, trial: Trial, repeats: int) -> Speed:
        """Medians over so many repeats; llama-bench runs one warm-up before.

        Raises:
            EngineError: It fails, or is of another commit than the installed llama.cpp.
        """
        settings = LlamaCppSettings(**trial.engine.settings)  # type: ignore[arg-type]
        model = Path(trial.model.path)
        prefill, decode = (
            run(self.tool, settings, model, window, repeats) for window in (PREFILL, DECODE)
        )
        for answer in (prefill, decode):
            _check_commit(answer.commit, trial.engine.version)
        return Speed(statistics.median(prefill.tok_s), statistics.median(decode.tok_s))


@dataclass(frozen=True, slots=True)
class Window:
    """What llama-bench times: tokens handed over in one go, or one after another.

    Attributes:
        prompt_tokens: Tokens in one go.
        output_tokens: Tokens one after another.
        depth_tokens: Tokens already in the context.
    """

    prompt_tokens: int = 0
    output_tokens: int = 0
    depth_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What llama-bench found.

    Attributes:
        window: What was timed.
        commit: The commit of llama.cpp that it says it is.
        tok_s: Tokens per second of each repeat.
    """

    window: Window
    commit: str
    tok_s: tuple[float, ...]


# ODLLM's decode follows its prompt, so llama-bench's starts at that depth too.
PREFILL = Window(prompt_tokens=PROMPT_TOKENS)
DECODE = Window(output_tokens=OUTPUT_TOKENS, depth_tokens=PROMPT_TOKENS)


def arguments(settings: LlamaCppSettings, model: Path, window: Window, repeats: int) -> list[str]:
    """The command line that gives llama-bench the settings of one of ODLLM's trials.

    Args:
        settings: What ODLLM tells llama.cpp.
        model: The model file.
        window: What to time.
        repeats: How often; llama-bench runs one warm-up before.
    """
    options: Mapping[str, object] = {
        "--model": model,
        "--n-prompt": window.prompt_tokens,
        "--n-gen": window.output_tokens,
        "--n-depth": window.depth_tokens,
        "--repetitions": repeats,
        **context_options(settings),
        "--load-mode": "mmap" if settings.mmap else "none",
        "--repack": _SWITCH[settings.repack],
        "--n-gpu-layers": settings.gpu_layers,
        "--output": "json",
    }
    return [str(part) for option in options.items() for part in option]


def run(
    tool: Path, settings: LlamaCppSettings, model: Path, window: Window, repeats: int
) -> Answer:
    """Runs llama-bench once.

    Raises:
        EngineError: It fails, or answers something else than was asked.
    """
    command = [str(tool), *arguments(settings, model, window, repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise EngineError(
            f"llama-bench ended with status {done.returncode}: {done.stderr.strip()[-500:]}",
            f"try it by hand: {' '.join(command)}",
        )
    answers = [answer for answer in parse(done.stdout) if answer.window == window]
    if len(answers) != 1 or len(answers[0].tok_s) != repeats:
        raise EngineError(
            f"llama-bench did not answer {repeats} repeats of {window}: {done.stdout[:500]}",
            f"try it by hand: {' '.join(command)}",
        )
    return answers[0]


def parse(text: str) -> tuple[Answer, ...]:
    """What llama-bench's JSON says; fields come and go with its versions, so few are needed.

    Raises:
        EngineError: It is not llama-bench's JSON.
    """
    try:
        return tuple(_answer(entry) for entry in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(
            f"this is not llama-bench's JSON ({error!r}): {text[:200]}",
            "llama-bench has changed its output: install the pinned llama-cpp-python",
        ) from error


def _answer(entry: Mapping[str, Any]) -> Answer:
    window = Window(
        prompt_tokens=int(entry["n_prompt"]),
        output_tokens=int(entry["n_gen"]),
        depth_tokens=int(entry.get("n_depth", 0)),
    )
    tokens = window.prompt_tokens + window.output_tokens
    return Answer(
        window=window,
        commit=str(entry.get("build_commit", "unknown")),
        tok_s=tuple(tokens * 1e9 / sample_ns for sample_ns in entry["samples_ns"]),
    )


def _check_commit(commit: str, version: str) -> None:
    if commit not in version:
        raise EngineError(
            f"llama-bench is of commit {commit}, and the installed llama.cpp is {version}",
            "remove the folder `bench` of ODLLM's cache; it is built anew",
        )
