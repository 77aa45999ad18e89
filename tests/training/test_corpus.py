import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import arithmetic, facts, stories
from training.corpus import (
    QUESTION_COUNT,
    SEED,
    Question,
    held_out_text,
    questions,
    training_documents,
)
from training.draw import Dice, bucket

DOCUMENTS = 1_500
SEEDS = st.integers(min_value=0, max_value=2**32)
EQUATION = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")
WORD_PROBLEM = re.compile(
    r"has (\d+) (?:boxes\. In each are|\w+\. \w+ (finds|buys|gets|loses|sells|gives away)) (\d+)"
)


@pytest.fixture(scope="module")
def training_text() -> str:
    return "\n".join(islice(training_documents(SEED), DOCUMENTS))


@pytest.fixture(scope="module")
def world() -> facts.World:
    return facts.make_world(SEED)


@pytest.fixture(scope="module")
def asked() -> tuple[Question, ...]:
    return questions(SEED)


def sums_in(text: str) -> list[arithmetic.Sum]:
    equations = [arithmetic.Sum(int(a), sign, int(b)) for a, sign, b, _ in EQUATION.findall(text)]
    signs = {"": "*", "finds": "+", "buys": "+", "gets": "+"}
    told = [
        arithmetic.Sum(int(a), signs.get(verb, "-"), int(b))
        for a, verb, b in WORD_PROBLEM.findall(text)
    ]
    return equations + told


class TestText:
    @given(SEEDS)
    def test_is_the_same_for_the_same_seed(self, seed: int) -> None:
        first, second = (list(islice(training_documents(seed), 2)) for _ in range(2))
        assert first == second

    def test_differs_for_another_seed(self) -> None:
        assert next(training_documents(1)) != next(training_documents(2))

    def test_does_not_depend_on_the_process(self) -> None:
        script = (
            "import hashlib; from training.corpus import held_out_text;"
            f"print(hashlib.sha256(held_out_text({SEED}, 5000).encode()).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=Path(__file__).parents[2],
                env={"PYTHONHASHSEED": hash_seed},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            for hash_seed in ("1", "2")
        }
        assert len(digests) == 1

    def test_is_plain_ascii(self, training_text: str) -> None:
        assert training_text.isascii()
        assert held_out_text(SEED).isascii()

    def test_states_only_right_sums(self, training_text: str) -> None:
        wrong = [
            found
            for found in EQUATION.findall(training_text + held_out_text(SEED))
            if arithmetic.Sum(int(found[0]), found[1], int(found[2])).answer != int(found[3])
        ]
        assert wrong == []

    @given(SEEDS)
    def test_of_held_out_is_as_long_as_asked(self, seed: int) -> None:
        assert 5_000 <= len(held_out_text(seed, 5_000)) < 6_000


class TestHeldOut:
    def test_operand_pairs_never_occur_in_training(self, training_text: str) -> None:
        found = sums_in(training_text)
        assert len(found) > DOCUMENTS
        assert [sum_ for sum_ in found if sum_.is_held_out] == []

    def test_text_holds_no_sum_of_training(self) -> None:
        found = sums_in(held_out_text(SEED))
        assert found
        assert all(sum_.is_held_out for sum_ in found)

    @given(st.integers(1, 60), st.integers(1, 60))
    def test_additions_are_kept_out_in_both_orders(self, left: int, right: int) -> None:
        mirrored = arithmetic.Sum(right, "+", left)
        assert arithmetic.Sum(left, "+", right).is_held_out == mirrored.is_held_out

    @given(st.integers(2, 12), st.integers(2, 12))
    def test_products_are_kept_out_in_one_order_at_most(self, left: int, right: int) -> None:
        both = (arithmetic.Sum(left, "*", right), arithmetic.Sum(right, "*", left))
        assert not all(sum_.is_held_out for sum_ in both)

    def test_phrasing_of_a_fact_never_occurs_in_training(
        self, training_text: str, world: facts.World
    ) -> None:
        leaked = [
            sentence
            for entity in world.entities
            for fact in entity.facts
            if (sentence := fact.sentence(fact.held_out_template)) in training_text
        ]
        assert leaked == []

    def test_facts_occur_in_training_in_other_phrasings(
        self, training_text: str, world: facts.World
    ) -> None:
        every = [fact for entity in world.entities for fact in entity.facts]
        known = [
            fact
            for fact in every
            if any(fact.sentence(t) in training_text for t in fact.training_templates)
        ]
        assert len(known) > 0.95 * len(every)

    def test_facts_are_stated_in_the_phrasing_kept_out(self, world: facts.World) -> None:
        text = held_out_text(SEED)
        every = [fact for entity in world.entities for fact in entity.facts]
        stated = [f for f in every if f.sentence(f.held_out_template) in text]
        assert len(stated) > len(every) / 3
        assert [f for f in every for t in f.training_templates if f.sentence(t) in text] == []

    def test_pairs_of_hero_and_thing_never_occur_in_training(self, training_text: str) -> None:
        pairs = {
            (hero, thing)
            for hero, thing in re.findall(r"So (\w+) the \w+ got the \w+ (\w+)\.", training_text)
        }
        held_out = {
            (hero, thing.name)
            for hero in stories.heroes()
            for thing in stories.THINGS
            if bucket(f"{hero}/{thing.name}", 8) == 0
        }
        assert len(pairs) > 100
        assert pairs & held_out == set()

    def test_stories_are_only_of_pairs_kept_out_of_training(self) -> None:
        dice = Dice(SEED, "test")
        assert all(stories.draw_cast(dice, held_out=True).is_held_out for _ in range(50))


class TestStory:
    @given(SEEDS)
    def test_names_hero_and_friend_again_at_its_end(self, seed: int) -> None:
        dice = Dice(seed, "test")
        cast = stories.draw_cast(dice, held_out=False)
        told = stories.story(cast, dice)
        assert told.count(cast.hero) >= 2
        assert told.endswith(f"{cast.pronoun} thanked {cast.friend} the {cast.friend_animal}.")

    @given(SEEDS)
    def test_never_gives_two_roles_to_one_name(self, seed: int) -> None:
        cast = stories.draw_cast(Dice(seed, "test"), held_out=False)
        assert cast.hero != cast.friend
        assert cast.animal != cast.friend_animal


class TestQuestions:
    def test_are_as_many_as_asked_and_all_different(self, asked: tuple[Question, ...]) -> None:
        assert len({question.prompt for question in asked}) == len(asked) == QUESTION_COUNT

    def test_have_four_different_choices(self, asked: tuple[Question, ...]) -> None:
        assert all(len(set(question.choices)) == 4 for question in asked)

    def test_leave_the_space_before_the_answer_to_the_reader(
        self, asked: tuple[Question, ...]
    ) -> None:
        parts = [part for question in asked for part in (question.prompt, *question.choices)]
        assert [part for part in parts if part != part.strip()] == []

    def test_put_the_right_answer_at_every_position(self, asked: tuple[Question, ...]) -> None:
        counts = [sum(question.answer == place for question in asked) for place in range(4)]
        assert min(counts) > len(asked) / 8

    def test_cover_every_kind(self, asked: tuple[Question, ...]) -> None:
        kinds = [question.kind for question in asked]
        assert all(kinds.count(kind) >= 80 for kind in ("fact", "arithmetic", "story"))

    def test_of_arithmetic_have_one_right_answer(self, asked: tuple[Question, ...]) -> None:
        for question in asked:
            if question.kind == "arithmetic":
                left, sign, right, _ = question.prompt.split()
                sum_ = arithmetic.Sum(int(left), sign, int(right))
                right_ones = [c for c in question.choices if int(c) == sum_.answer]
                assert right_ones == [question.choices[question.answer]]
                assert sum_.is_held_out

    def test_of_facts_have_one_right_answer(
        self, asked: tuple[Question, ...], world: facts.World
    ) -> None:
        every = [fact for entity in world.entities for fact in entity.facts]
        truths = {fact.sentence(fact.held_out_template) for fact in every}
        for question in asked:
            if question.kind == "fact":
                true = [c for c in question.choices if f"{question.prompt} {c}." in truths]
                assert true == [question.choices[question.answer]]

    def test_of_stories_are_answered_by_the_story(self, asked: tuple[Question, ...]) -> None:
        tools = {obstacle.trouble: obstacle.tool for obstacle in stories.OBSTACLES}
        for question in asked:
            if question.kind == "story":
                answer = question.choices[question.answer]
                needed = [tool for trouble, tool in tools.items() if trouble in question.prompt]
                assert answer in question.prompt or [answer] == needed

    @given(SEEDS)
    def test_are_the_same_for_the_same_seed(self, seed: int) -> None:
        assert questions(seed, 6) == questions(seed, 6)
