"""Examining a model: it answers the questions of a task."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from odllm_agent import engines
from odllm_agent.contract import Exam, QualityCheck, Score
from odllm_agent.errors import UsageError
from odllm_agent.quality import questions
from odllm_agent.quality.divergence import share
from odllm_agent.quality.questions import ChoiceQuestion, Question
from odllm_agent.quality.speaker import Speaker

# Enough for five examples and an answer; more would cost a small device its memory.
_MOST_CONTEXT_TOKENS = 4096

Ask = Callable[[Speaker], tuple[Score, ...]]


def look_up(exam: Exam) -> Exam:
    """The exam with the checksum of its content; data that it lacks is fetched.

    Raises:
        UsageError: The task is unknown or wrong, or runs code without leave.
        DataMissing: Its questions cannot be had.
    """
    checksum, _ = _opened(exam)
    return replace(exam, sha256=checksum)


def evaluate(check: QualityCheck, exam: Exam) -> tuple[Score, ...]:
    """Asks a model the questions of a task.

    Returns:
        `accuracy`, and for a task of lm-eval every metric that it has.

    Raises:
        UsageError: The task is unknown or wrong, has changed since the run was planned, or runs
            code without leave.
        DataMissing: Its questions cannot be had.
        EngineError: The engine refuses the model.
    """
    checksum, ask = _opened(exam)
    if checksum != exam.sha256:
        raise UsageError(
            f"the task {exam.task} has changed since the run was planned",
            "leave it alone while a run goes on, and run the command again",
        )
    context_tokens = min(check.model.context_tokens, _MOST_CONTEXT_TOKENS)
    with engines.load(check.engine, check.model, context_tokens) as session:
        return ask(Speaker(session, context_tokens))


def accuracy(speaker: Speaker, asked: Sequence[Question]) -> Score:
    """The share of questions that a model answers right."""
    return share("accuracy", np.array([is_right(speaker, question) for question in asked]))


def is_right(speaker: Speaker, question: Question) -> bool:
    """Whether a model answers a question right."""
    if isinstance(question, ChoiceQuestion):
        return _likeliest(speaker, question) == question.right
    return question.is_right(speaker.answer(question.prompt, question.stop, question.max_tokens))


def _opened(exam: Exam) -> tuple[str, Ask]:
    """The checksum of a task's content, and what asks a model its questions."""
    if questions.is_file(exam.task):
        asked = questions.read_questions(exam.task)[: exam.limit]
        return questions.checksum(exam.task), lambda speaker: (accuracy(speaker, asked),)
    questions.refuse_other_file(exam.task)
    # Its import takes a second, and most checks do without.
    from odllm_agent.quality import harness  # noqa: PLC0415

    tasks = harness.load(exam)
    return harness.checksum(tasks), lambda speaker: harness.evaluate(tasks, exam, speaker)


def _likeliest(speaker: Speaker, question: ChoiceQuestion) -> int:
    """The position of the likeliest choice, each read after the prompt and one space."""
    gap = "" if question.prompt[-1].isspace() else " "
    chances = [
        speaker.likelihood(question.prompt, gap + choice).log_p for choice in question.choices
    ]
    return chances.index(max(chances))
