"""Short stories from a grammar in which names, things and tools come back later.

A model has to carry the hero, the friend, the thing and the place through the story, and to learn
which tool helps against which obstacle.
"""

from dataclasses import dataclass

from training.draw import Dice, bucket

_HELD_OUT_SHARE = 8
_GIRLS = (
    "Amy", "Bella", "Cora", "Daisy", "Ella", "Flora", "Gina", "Hazel", "Iris", "Julia", "Kitty",
    "Lily", "Molly", "Nora", "Pip", "Ruby",
)  # fmt: skip
_BOYS = (
    "Alf", "Bobby", "Charlie", "Danny", "Eddie", "Freddy", "George", "Harry", "Jack", "Kevin",
    "Leo", "Max", "Ned", "Oscar", "Paul", "Sam",
)  # fmt: skip
_ANIMALS = (
    "bear", "cat", "dog", "duck", "fox", "goat", "hare", "hen", "horse", "lamb", "mouse", "pig",
    "rabbit", "robin", "sheep", "toad", "wolf",
)  # fmt: skip
_HOMES = (
    "by the sea", "in a small village", "in a tall tower", "in an old mill", "near the forest",
    "on a farm", "on a green hill", "on a river boat", "under a bridge", "under a big tree",
)  # fmt: skip
_LOOKS = (
    "big", "blue", "bright", "golden", "green", "little", "new", "red", "round", "shiny", "silver",
    "soft", "warm", "yellow",
)  # fmt: skip
_FEELINGS = ("sad", "tired", "worried", "lonely", "cross")
_TIMES = ("One morning", "One day", "One cold night", "The next day", "After breakfast")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something worth wanting, and what it is good for."""

    name: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something in the way, where it is met, and the tool that helps against it."""

    place: str
    trouble: str
    tool: str
    remedy: str


THINGS = (
    Thing("ball", "play in the garden"),
    Thing("bell", "call the cows"),
    Thing("boat", "sail on the pond"),
    Thing("book", "read at night"),
    Thing("cake", "have a party"),
    Thing("clock", "wake up early"),
    Thing("coat", "stay dry in the rain"),
    Thing("cup", "drink hot milk"),
    Thing("drum", "make music"),
    Thing("hat", "keep off the sun"),
    Thing("kite", "fly it in the wind"),
    Thing("mirror", "see a smile"),
    Thing("pencil", "draw a picture"),
    Thing("pillow", "sleep well"),
    Thing("scarf", "keep warm in the snow"),
    Thing("wagon", "carry wood"),
)
OBSTACLES = (
    Obstacle("the castle", "the gate was locked", "key", "opened the gate"),
    Obstacle("the cave", "it was too dark to see", "lamp", "lit up the dark"),
    Obstacle("the cliff", "the rock was too steep", "rope", "climbed up the rock"),
    Obstacle("the island", "the water was too deep", "raft", "crossed the water"),
    Obstacle("the orchard", "the tree was too high", "ladder", "reached the top"),
    Obstacle("the meadow", "a bull stood in the way", "carrot", "led the bull away"),
    Obstacle("the valley", "deep snow lay on the road", "shovel", "cleared the road"),
    Obstacle("the swamp", "the mud was too soft to walk on", "plank", "walked over the mud"),
    Obstacle("the old house", "the floor was full of holes", "hammer", "mended the floor"),
    Obstacle("the desert", "there was nothing to drink", "bottle", "drank all they needed"),
    Obstacle("the wood", "thorns grew over the path", "knife", "cut the thorns"),
    Obstacle("the market", "nobody would sell without money", "purse", "paid for it"),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything that a story has to keep straight."""

    hero: str
    is_girl: bool
    animal: str
    home: str
    friend: str
    friend_animal: str
    look: str
    thing: Thing
    obstacle: Obstacle

    @property
    def pronoun(self) -> str:
        """The hero's pronoun at the start of a sentence."""
        return "She" if self.is_girl else "He"

    @property
    def is_held_out(self) -> bool:
        """Whether no training story lets this hero want this thing."""
        return bucket(f"{self.hero}/{self.thing.name}", _HELD_OUT_SHARE) == 0


@dataclass(frozen=True, slots=True)
class Recall:
    """The start of a story's sentence that earlier sentences determine the end of."""

    before: str
    answer: str
    others: tuple[str, ...]


def heroes() -> tuple[str, ...]:
    """Return every name that a story may use."""
    return _GIRLS + _BOYS


def draw_cast(dice: Dice, *, held_out: bool) -> Cast:
    """Draw a cast on the wanted side of the split."""
    while True:
        drawn = _any_cast(dice)
        if drawn.is_held_out == held_out:
            return drawn


def _any_cast(dice: Dice) -> Cast:
    hero, friend = dice.sample(heroes(), 2)
    animal, friend_animal = dice.sample(_ANIMALS, 2)
    return Cast(
        hero=hero,
        is_girl=hero in _GIRLS,
        animal=animal,
        home=dice.pick(_HOMES),
        friend=friend,
        friend_animal=friend_animal,
        look=dice.pick(_LOOKS),
        thing=dice.pick(THINGS),
        obstacle=dice.pick(OBSTACLES),
    )


def _opening(cast: Cast, dice: Dice) -> str:
    return dice.pick(
        (
            f"Once there was a {cast.animal} named {cast.hero} who lived {cast.home}.",
            f"{cast.hero} was a {cast.animal} who lived {cast.home}.",
            f"A {cast.animal} called {cast.hero} lived {cast.home}.",
        )
    )


def _wish(cast: Cast, dice: Dice) -> str:
    wanted = f"a {cast.look} {cast.thing.name}"
    return dice.pick(
        (
            f"{cast.pronoun} wanted {wanted} to {cast.thing.purpose}.",
            f"{cast.hero} dreamed of {wanted} to {cast.thing.purpose}.",
            f"To {cast.thing.purpose}, {cast.hero} needed {wanted}.",
        )
    )


def _trouble(cast: Cast, dice: Dice) -> str:
    place, trouble = cast.obstacle.place, cast.obstacle.trouble
    return dice.pick(
        (
            f"{dice.pick(_TIMES)} {cast.hero} went to {place} to look for one, but {trouble}.",
            f"There was one at {place}. But when {cast.hero} came there, {trouble}.",
        )
    )


def _meeting(cast: Cast, dice: Dice) -> str:
    feeling = dice.pick(_FEELINGS)
    return dice.pick(
        (
            f"{cast.hero} was {feeling}. Then a {cast.friend_animal} named {cast.friend} came by. "
            f'"Why are you {feeling}?" asked {cast.friend}. '
            f'"I want a {cast.look} {cast.thing.name}," said {cast.hero}.',
            f"A {cast.friend_animal} named {cast.friend} saw that {cast.hero} was {feeling}. "
            f'"I will help you," said {cast.friend}.',
        )
    )


def _rescue(cast: Cast) -> str:
    obstacle = cast.obstacle
    return (
        f"{cast.friend} brought a {obstacle.tool}. With the {obstacle.tool} they {obstacle.remedy}."
    )


def _ending(cast: Cast) -> str:
    return (
        f"So {cast.hero} the {cast.animal} got the {cast.look} {cast.thing.name}. "
        f"{cast.pronoun} thanked {cast.friend} the {cast.friend_animal}."
    )


def _beginning(cast: Cast, dice: Dice) -> str:
    parts = (_opening, _wish, _trouble, _meeting)
    return " ".join(part(cast, dice) for part in parts)


def story(cast: Cast, dice: Dice) -> str:
    """Return a whole story of the cast."""
    return " ".join((_beginning(cast, dice), _rescue(cast), _ending(cast)))


def recall(cast: Cast, dice: Dice) -> Recall:
    """Return a story cut where the next word follows from what came before."""
    told = story(cast, dice)
    answer, lead, pool = dice.pick(
        (
            (cast.obstacle.tool, f"{cast.friend} brought a", tuple(o.tool for o in OBSTACLES)),
            (cast.thing.name, f"got the {cast.look}", tuple(t.name for t in THINGS)),
            (cast.hero, "So", heroes()),
            (cast.friend, f"{cast.pronoun} thanked", heroes()),
            (cast.animal, f"So {cast.hero} the", _ANIMALS),
        )
    )
    before = told[: told.rindex(f"{lead} {answer}")] + lead
    present = (
        (cast.friend,) if answer == cast.hero else (cast.hero,) if answer == cast.friend else ()
    )
    others = present + tuple(dice.sample([x for x in pool if x not in (answer, *present)], 3))
    return Recall(before, answer, others[:3])
