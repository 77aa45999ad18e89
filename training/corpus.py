"""The text of the reference ladder: training documents, held-out text and questions, by seed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from training import arithmetic, facts, stories
from training.draw import Dice

SEED = 2505
HELD_OUT_CHARS = 80_000
QUESTION_COUNT = 300
BREAK = "\n\n"

_STORY_SHARE, _FACT_SHARE = 0.20, 0.56


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question.

    Attributes:
        kind: ``fact``, ``arithmetic`` or ``story``.
        prompt: The text before the answer, without a space at its end.
        choices: Four different continuations; each is read after one space.
        answer: The position of the only right choice.
    """

    kind: str
    prompt: str
    choices: tuple[str, ...]
    answer: int


def training_documents(seed: int) -> Iterator[str]:
    """Yield documents without end; each is a few passages with a blank line between them."""
    world = facts.make_world(seed)
    dice = Dice(seed, "training")
    while True:
        passages = [_training_passage(world, dice) for _ in range(dice.between(2, 8))]
        yield BREAK.join(passages) + "\n"


def _training_passage(world: facts.World, dice: Dice) -> str:
    share = dice.below(1000) / 1000
    if share < _STORY_SHARE:
        return stories.story(stories.draw_cast(dice, held_out=False), dice)
    if share < _STORY_SHARE + _FACT_SHARE:
        return facts.training_passage(world, dice)
    return arithmetic.passage(dice, held_out=False)


def held_out_text(seed: int, length: int = HELD_OUT_CHARS) -> str:
    """Return text that no training document holds, in the mixture of the training documents.

    Stories are of pairs of hero and thing, and sums of pairs of operands, that training never
    shows; facts are known ones in sentences that training never uses for them.

    Args:
        seed: The seed of the training documents.
        length: The least number of characters.
    """
    dice = Dice(seed, "held-out")
    passages: list[str] = []
    entities = iter(dice.shuffled(facts.make_world(seed).entities))
    size = 0
    while size <= length:
        share = dice.below(1000) / 1000
        if share < _STORY_SHARE:
            passage = stories.story(stories.draw_cast(dice, held_out=True), dice)
        elif share < _STORY_SHARE + _FACT_SHARE:
            passage = facts.held_out_passage(next(entities), dice)
        else:
            passage = arithmetic.passage(dice, held_out=True)
        passages.append(passage)
        size += len(passage) + len(BREAK)
    return BREAK.join(passages) + "\n"


def questions(seed: int, count: int = QUESTION_COUNT) -> tuple[Question, ...]:
    """Return distinct questions, the kinds taking turns.

    Args:
        seed: The seed of the training documents.
        count: How many questions.
    """
    distinct = {question.prompt: question for question in islice(_questions(seed), 2 * count)}
    return tuple(distinct.values())[:count]


def _questions(seed: int) -> Iterator[Question]:
    world, dice = facts.make_world(seed), Dice(seed, "questions")
    while True:
        yield _fact_question(dice.pick(dice.pick(world.entities).facts), dice)
        yield _arithmetic_question(arithmetic.draw_sum(dice, held_out=True), dice)
        yield _story_question(stories.draw_cast(dice, held_out=True), dice)


def _question(kind: str, prompt: str, right: str, wrong: Sequence[str], dice: Dice) -> Question:
    choices = tuple(dice.shuffled([right, *wrong]))
    return Question(kind, prompt, choices, choices.index(right))


def _fact_question(fact: facts.Fact, dice: Dice) -> Question:
    prompt = fact.sentence(fact.held_out_template).removesuffix(f" {fact.value}.")
    wrong = dice.sample([value for value in fact.attribute.values if value != fact.value], 3)
    return _question("fact", prompt, fact.value, wrong, dice)


def _arithmetic_question(sum_: arithmetic.Sum, dice: Dice) -> Question:
    near = [sum_.answer + step for step in (-11, -10, -9, -2, -1, 1, 2, 9, 10, 11)]
    as_long = [str(n) for n in near if n >= 0 and len(str(n)) == len(str(sum_.answer))]
    wrong = dice.sample(as_long, 3)
    return _question("arithmetic", sum_.question, str(sum_.answer), wrong, dice)


def _story_question(cast: stories.Cast, dice: Dice) -> Question:
    recall = stories.recall(cast, dice)
    return _question("story", recall.before, recall.answer, recall.others, dice)


def to_json_lines(items: Sequence[Question]) -> str:
    """Return the questions as JSON, one to a line."""
    return "".join(json.dumps(asdict(item)) + "\n" for item in items)
