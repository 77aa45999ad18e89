"""Tasks of the language model evaluation harness (lm-eval), answered by our engines.

lm-eval brings the tasks, their examples and their metrics; an engine only tells likelihoods and
answers. It runs in a worker of its own, since its import takes a second and its tasks run code.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from odllm_agent.contract import Exam, Score
from odllm_agent.errors import DataMissing, UsageError
from odllm_agent.quality.speaker import Speaker

try:
    import lm_eval.tasks
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate as run_harness
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError as missing:
    raise DataMissing(
        f"tasks of lm-eval cannot be had: it is not installed on this device ({missing})",
        'pip install "odllm[quality]"',
    ) from missing

# Of a task's metrics, the first of these is its accuracy.
_ACCURACIES = ("pass@1", "exact_match", "acc_norm", "acc")
_BOOTSTRAPS = 1000

Tasks = Mapping[str, Any]


class SpeakingLM(LM):  # type: ignore[misc]
    """A speaker as lm-eval wants a model.

    Args:
        speaker: Who answers.
    """

    def __init__(self, speaker: Speaker) -> None:
        super().__init__()
        self._speaker = speaker

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """The log probability of each continuation, and whether it is the greedy one."""
        found = (self._speaker.likelihood(*request.args) for request in requests)
        return [(each.log_p, each.is_greedy) for each in found]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """The log probability of each text, read in windows with as much context as fits."""
        return [self._rolling(*request.args) for request in requests]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The greedy answer to each prompt."""
        return [self._answer(*request.args) for request in requests]

    def _rolling(self, text: str) -> float:
        prefix, *tokens = self._speaker.tokens(text)
        parts = get_rolling_token_windows(tokens, prefix, self._speaker.context_tokens, 1)
        windows = map(make_disjoint_window, parts)
        return sum(self._speaker.predicted([*a, *b], len(a)).log_p for a, b in windows)

    def _answer(self, prompt: str, wanted: Mapping[str, Any]) -> str:
        if wanted.get("do_sample"):
            raise UsageError(
                "the task wants answers drawn at random", "only greedy answers can be given"
            )
        until = wanted.get("until") or []
        stop = [until] if isinstance(until, str) else until
        return self._speaker.answer(prompt, stop, int(wanted.get("max_gen_toks", 256)))


def load(exam: Exam) -> Tasks:
    """A task of lm-eval by its name, or by the path of its YAML file, its data included.

    Raises:
        UsageError: There is no such task, it is a mere tag, or it runs code without leave.
        DataMissing: Its data cannot be had.
    """
    manager = _manager(exam.task)
    entry = manager.task_index.get(exam.task)
    _refuse_code(exam, unsafe=bool(entry and (entry.cfg or {}).get("unsafe_code")))
    if exam.allow_code:
        os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    try:
        loaded: Tasks = manager.load(exam.task)
    except Exception as error:
        # A task runs code of its own while it is loaded, and fails in ways of its own.
        raise DataMissing(
            f"the task {exam.task} cannot be loaded: {type(error).__name__}: {error}",
            "connect the device to the hub once, or set HF_ENDPOINT to a mirror; the data is kept",
        ) from error
    parts = loaded["tasks"].values()
    _refuse_code(exam, unsafe=any(getattr(part, "UNSAFE_CODE", False) for part in parts))
    return loaded


def checksum(tasks: Tasks) -> str:
    """The checksum of what is asked: every task's version and all its questions."""
    digest = hashlib.sha256()
    for name, task in sorted(tasks["tasks"].items()):
        digest.update(f"{name} {task.VERSION} {task.config.num_fewshot}\n".encode())
        for document in task.eval_docs:
            digest.update(json.dumps(document, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def evaluate(tasks: Tasks, exam: Exam, speaker: Speaker) -> tuple[Score, ...]:
    """Asks a model the questions of a task of lm-eval.

    Returns:
        `accuracy`, the first of pass@1, exact_match, acc_norm and acc that the task has; and every
        metric by lm-eval's own name for it.
    """
    found = run_harness(
        SpeakingLM(speaker),
        tasks,
        limit=exam.limit,
        bootstrap_iters=_BOOTSTRAPS,
        log_samples=False,
        confirm_run_unsafe_code=exam.allow_code,
    )
    name = next(iter(tasks["groups"] or tasks["tasks"]))
    figures = (found.get("groups") or {}).get(name) or found["results"][name]
    n = sum(found["n-samples"][task]["effective"] for task in tasks["tasks"])
    metrics = list(_metrics(figures, n))
    return (_accuracy(metrics), *metrics)


def _manager(task: str) -> lm_eval.tasks.TaskManager:
    """An index with the task in it; that of one folder where its name tells which, as it is quick.

    Raises:
        UsageError: There is no such task.
    """
    if Path(task).suffix == ".yaml":
        return lm_eval.tasks.TaskManager(include_defaults=False)
    root = Path(lm_eval.tasks.__file__).parent
    for folder in (root / task, root / task.split("_", maxsplit=1)[0]):
        if folder.is_dir():
            manager = lm_eval.tasks.TaskManager(include_path=folder, include_defaults=False)
            if task in manager.task_index:
                return manager
    manager = lm_eval.tasks.TaskManager()
    if task not in manager.task_index:
        raise UsageError(
            f"there is no task named {task!r}",
            "`lm-eval ls tasks` lists those of lm-eval; a file of questions ends in .jsonl",
        )
    return manager


def _refuse_code(exam: Exam, *, unsafe: bool) -> None:
    if unsafe and not exam.allow_code:
        raise UsageError(
            f"the task {exam.task} runs code that the model writes, on this device and with the "
            "agent's rights",
            f"if that is what you want, set quality.allow_code_execution=[{exam.task}]",
        )


def _metrics(figures: Mapping[str, Any], n: int) -> Iterator[Score]:
    """Every figure under its name, such as `exact_match,strict-match`."""
    for name, value in figures.items():
        metric, _, chosen_by = name.partition(",")
        if not chosen_by or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        error = figures.get(f"{metric}_stderr,{chosen_by}")
        known = error if isinstance(error, int | float) else None
        yield Score(name, float(value), known, n)


def _accuracy(metrics: Sequence[Score]) -> Score:
    for wanted in _ACCURACIES:
        for score in metrics:
            if score.metric.split(",")[0] == wanted:
                return Score("accuracy", score.value, score.standard_error, score.n)
    names = ", ".join(score.metric for score in metrics)
    return Score("accuracy", None, None, 0, f"the task has no accuracy among its metrics: {names}")
