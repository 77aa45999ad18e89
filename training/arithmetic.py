"""Small sums, their word problems, and the rule that keeps some operand pairs out of training."""

from dataclasses import dataclass

from training.draw import Dice, bucket

_HELD_OUT_SHARE = 10
_LARGEST_TERM = 60
_LARGEST_FACTOR = 12
_OWNERS = (("Anna", "She"), ("Ben", "He"), ("Carl", "He"), ("Dora", "She"), ("Emil", "He"))
_GOODS = ("apples", "beans", "books", "coins", "eggs", "nails", "pears", "shells", "stamps")


@dataclass(frozen=True, slots=True)
class Sum:
    """An operation on two whole numbers."""

    left: int
    sign: str
    right: int

    @property
    def answer(self) -> int:
        """The value of the sum."""
        if self.sign == "+":
            return self.left + self.right
        if self.sign == "-":
            return self.left - self.right
        return self.left * self.right

    @property
    def question(self) -> str:
        """The sum up to and including the equals sign."""
        return f"{self.left} {self.sign} {self.right} ="

    @property
    def equation(self) -> str:
        """The sum with its answer."""
        return f"{self.question} {self.answer}"

    @property
    def is_held_out(self) -> bool:
        """Whether these operands are kept out of training.

        An addition is kept out in both orders, a product in one order only: nothing but its mirror
        image tells what it is.
        """
        if self.sign == "*" and self.left >= self.right:
            return False
        first, second = self.left, self.right
        if self.sign == "+":
            first, second = min(first, second), max(first, second)
        return bucket(f"{first}{self.sign}{second}", _HELD_OUT_SHARE) == 0


def draw_sum(dice: Dice, *, held_out: bool) -> Sum:
    """Draw a sum on the wanted side of the split."""
    while True:
        drawn = _any_sum(dice)
        if drawn.is_held_out == held_out:
            return drawn


def _any_sum(dice: Dice) -> Sum:
    kind = dice.below(5)
    if kind < 2:
        return Sum(dice.between(1, _LARGEST_TERM), "+", dice.between(1, _LARGEST_TERM))
    if kind < 4:
        right, rest = dice.between(1, _LARGEST_TERM), dice.between(1, _LARGEST_TERM)
        return Sum(max(right, rest), "-", min(right, rest))
    return Sum(dice.between(2, _LARGEST_FACTOR), "*", dice.between(2, _LARGEST_FACTOR))


def word_problem(sum_: Sum, dice: Dice) -> str:
    """Return the sum told as a happening."""
    owner, pronoun = dice.pick(_OWNERS)
    goods = dice.pick(_GOODS)
    left, right, answer = sum_.left, sum_.right, sum_.answer
    if sum_.sign == "+":
        verb = dice.pick(("finds", "buys", "gets"))
        return (
            f"{owner} has {left} {goods}. {pronoun} {verb} {right} more. Now {owner} has {answer}."
        )
    if sum_.sign == "-":
        verb = dice.pick(("loses", "sells", "gives away"))
        return f"{owner} has {left} {goods}. {pronoun} {verb} {right}. Now {owner} has {answer}."
    return (
        f"{owner} has {left} boxes. In each are {right} {goods}. "
        f"All in all {owner} has {answer} {goods}."
    )


def passage(dice: Dice, *, held_out: bool) -> str:
    """Return a few sums of one side of the split, as equations or as a word problem each."""
    sums = [draw_sum(dice, held_out=held_out) for _ in range(dice.between(3, 7))]
    if dice.chance(0.3):
        return "\n".join(word_problem(sum_, dice) for sum_ in sums[:3])
    return "\n".join(sum_.equation for sum_ in sums)
