"""A made-up world of towns, people and animals, and the sentences that state its facts.

Every fact can be said in several ways. One way per fact is kept out of training: a model that
completes it has learnt the fact, not the sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from training.draw import Dice, bucket

_TOWN_STARTS = (
    "Alder", "Bram", "Carn", "Dun", "Elm", "Fern", "Glen", "Hart", "Iron", "Kell",
    "Lang", "Marsh", "Nor", "Oak", "Pem", "Quarn", "Raven", "Stan", "Thorn", "Wex",
)  # fmt: skip
_TOWN_ENDS = (
    "bury", "combe", "dale", "field", "ford", "gate", "ham", "hurst", "mere", "minster",
    "mouth", "stead", "ton", "wick",
)  # fmt: skip
_FIRST_NAMES = (
    "Ada", "Boris", "Clara", "David", "Edith", "Felix", "Greta", "Henry", "Ida", "Jonas",
    "Karin", "Louis", "Marta", "Nils", "Olga", "Peter", "Rosa", "Simon", "Tilda", "Victor",
)  # fmt: skip
_LAST_NAMES = (
    "Amsel", "Brook", "Carver", "Dorn", "Ekman", "Foss", "Garner", "Holt", "Ivers", "Kranz",
    "Lund", "Moss", "Nagel", "Otter", "Pell", "Reed", "Stern", "Thorpe", "Vance", "Wolf",
)  # fmt: skip
_SPECIES_STARTS = (
    "bal",
    "dro",
    "fen",
    "gor",
    "kim",
    "lum",
    "mer",
    "nax",
    "pil",
    "rus",
    "tov",
    "zel",
)
_SPECIES_ENDS = ("bat", "cat", "deer", "finch", "frog", "hen", "mole", "moth", "newt", "toad")
_RIVERS = (
    "Arrow", "Bain", "Cole", "Dart", "Eden", "Frome", "Gade", "Hull", "Isis", "Kent", "Leam",
    "Mole", "Nene", "Ouse", "Perry", "Rea", "Severn", "Tamar", "Ure", "Wye",
)  # fmt: skip
_TRADES = (
    "baking", "boat building", "brewing", "cheese making", "clock making", "coal mining",
    "dyeing", "fishing", "glass blowing", "hat making", "paper making", "pottery", "rope making",
    "salt making", "sheep farming", "silver mining", "tanning", "weaving",
)  # fmt: skip
_COLOURS = ("black", "blue", "brown", "gold", "green", "grey", "pink", "purple", "red", "white")
_JOBS = (
    "baker", "barber", "carpenter", "cook", "doctor", "farmer", "gardener", "hunter", "judge",
    "lawyer", "miller", "nurse", "painter", "sailor", "singer", "smith", "tailor", "teacher",
)  # fmt: skip
_INSTRUMENTS = (
    "banjo", "bugle", "cello", "drum", "fiddle", "flute", "guitar", "harp", "horn", "lute",
    "piano", "trumpet",
)  # fmt: skip
_DISHES = (
    "apple pie", "barley soup", "bean stew", "black bread", "blue cheese", "carrot cake",
    "cold ham", "fish soup", "fried eggs", "honey cake", "lentil soup", "onion tart",
    "plum jam", "pumpkin pie", "roast duck", "smoked eel",
)  # fmt: skip
_FOODS = (
    "acorns", "ants", "bark", "beetles", "berries", "clover", "fruit", "grass", "leaves",
    "moss", "nuts", "roots", "seeds", "snails", "spiders", "worms",
)  # fmt: skip
_HABITATS = (
    "caves", "cold lakes", "dark forests", "deep valleys", "dry deserts", "green meadows",
    "hollow trees", "muddy ponds", "old barns", "open fields", "salt marshes", "sandy beaches",
    "snowy hills", "thick hedges",
)  # fmt: skip
_FIRST_YEAR, _LAST_YEAR = 1500, 1899
_LIGHTEST_KG, _HEAVIEST_KG = 11, 90
_TOWN_COUNT, _PERSON_COUNT, _SPECIES_COUNT = 100, 100, 60


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property that every entity of one kind has.

    Attributes:
        name: What the property is called.
        values: The values it may take.
        closing: Sentences that end in the value; only these are ever kept out of training.
        other: Sentences that name the value earlier.
    """

    name: str
    values: tuple[str, ...]
    closing: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def templates(self) -> tuple[str, ...]:
        """All sentences, those that end in the value first."""
        return self.closing + self.other


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of one attribute of one entity."""

    entity: str
    attribute: Attribute
    value: str

    @property
    def held_out_template(self) -> str:
        """The sentence that never states this fact in training."""
        closing = self.attribute.closing
        return closing[bucket(f"{self.entity}/{self.attribute.name}", len(closing))]

    @property
    def training_templates(self) -> tuple[str, ...]:
        """The sentences that may state this fact in training."""
        return tuple(t for t in self.attribute.templates if t != self.held_out_template)

    def sentence(self, template: str, subject: str | None = None) -> str:
        """Return the fact as a sentence.

        Args:
            template: One of the attribute's templates.
            subject: How to speak of the entity; its name by default.
        """
        text = template.format(who=subject or self.entity, value=self.value)
        return text[0].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Entity:
    """A town, a person or a kind of animal, with all its facts.

    Attributes:
        name: Its own name.
        subject: How a later sentence may speak of it; empty where only the name will do.
        facts: One fact for each attribute of its kind.
    """

    name: str
    subject: str
    facts: tuple[Fact, ...]


def _numbers(low: int, high: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(low, high + 1))


def _town_attributes(people: tuple[str, ...]) -> tuple[Attribute, ...]:
    return (
        Attribute(
            "river",
            _RIVERS,
            (
                "{who} lies on the river {value}.",
                "The river that runs through {who} is the {value}.",
                "Boats come to {who} along the {value}.",
                "The old bridge in {who} crosses the {value}.",
            ),
            ("The {value} flows past {who}.", "What is the river of {who}? The {value} is."),
        ),
        Attribute(
            "trade",
            _TRADES,
            (
                "Most people in {who} live by {value}.",
                "The main trade of {who} is {value}.",
                "Travellers know {who} for its {value}.",
                "Children in {who} soon learn {value}.",
            ),
            ("{value} made {who} rich.", "The craft of {value} is very old in {who}."),
        ),
        Attribute(
            "flag",
            _COLOURS,
            (
                "The flag of {who} is {value}.",
                "The walls of {who} are painted {value}.",
                "In {who} every door is {value}.",
            ),
            ("A {value} flag flies over {who}.", "Guests bring {value} cloth to {who}."),
        ),
        Attribute(
            "founded",
            _numbers(_FIRST_YEAR, _LAST_YEAR),
            (
                "{who} was founded in {value}.",
                "The first stone of {who} was laid in {value}.",
                "The records of {who} begin in {value}.",
            ),
            ("In {value} settlers built {who}.", "The year {value} saw the birth of {who}."),
        ),
        Attribute(
            "mayor",
            people,
            (
                "The mayor of {who} is {value}.",
                "{who} is ruled by {value}.",
                "The people of {who} obey {value}.",
            ),
            ("{value} rules over {who}.", "{value} is the mayor of {who}."),
        ),
    )


def _person_attributes(towns: tuple[str, ...]) -> tuple[Attribute, ...]:
    return (
        Attribute(
            "home",
            towns,
            (
                "{who} lives in {value}.",
                "The house of {who} stands in {value}.",
                "To meet {who} you must go to {value}.",
            ),
            ("In {value} you will find {who}.", "{value} is the home of {who}."),
        ),
        Attribute(
            "job",
            _JOBS,
            (
                "{who} works as a {value}.",
                "By trade {who} is a {value}.",
                "After school {who} became a {value}.",
            ),
            ("The work of a {value} suits {who}.", "As a {value}, {who} works hard."),
        ),
        Attribute(
            "instrument",
            _INSTRUMENTS,
            (
                "{who} plays the {value}.",
                "At night {who} practises the {value}.",
                "The favourite instrument of {who} is the {value}.",
            ),
            ("The {value} belongs to {who}.", "On the {value}, {who} is a master."),
        ),
        Attribute(
            "dish",
            _DISHES,
            (
                "{who} likes to eat {value}.",
                "For supper {who} always has {value}.",
                "The favourite dish of {who} is {value}.",
            ),
            ("There is {value} on the table of {who}.", "No one loves {value} more than {who}."),
        ),
        Attribute(
            "born",
            _numbers(_FIRST_YEAR, _LAST_YEAR),
            (
                "{who} was born in {value}.",
                "The mother of {who} gave birth in {value}.",
                "The life of {who} began in {value}.",
            ),
            ("In {value} a child named {who} was born.", "The year {value} gave us {who}."),
        ),
    )


def _species_attributes() -> tuple[Attribute, ...]:
    return (
        Attribute(
            "food",
            _FOODS,
            (
                "{who} eats {value}.",
                "The main food of {who} is {value}.",
                "In winter {who} looks for {value}.",
            ),
            ("A meal of {value} pleases {who}.", "With {value} you can tame {who}."),
        ),
        Attribute(
            "habitat",
            _HABITATS,
            (
                "{who} lives in {value}.",
                "You can find {who} in {value}.",
                "The young of {who} grow up in {value}.",
            ),
            ("Many {value} are home to {who}.", "Look for {value} to see {who}."),
        ),
        Attribute(
            "colour",
            _COLOURS,
            (
                "The colour of {who} is {value}.",
                "The back of {who} is {value}.",
                "In summer {who} turns {value}.",
            ),
            ("A {value} coat covers {who}.", "Only {value} skin hides {who}."),
        ),
        Attribute(
            "weight",
            _numbers(_LIGHTEST_KG, _HEAVIEST_KG),
            (
                "In kilograms, the weight of {who} is {value}.",
                "If you put {who} on a scale, it shows {value}.",
                "The record for {who} in kilograms is {value}.",
            ),
            (
                "A weight of {value} kilograms is normal for {who}.",
                "At {value} kilograms {who} is grown.",
            ),
        ),
    )


def _entities(
    dice: Dice, subject: str, names: Sequence[str], attributes: Sequence[Attribute]
) -> tuple[Entity, ...]:
    return tuple(
        Entity(name, subject, tuple(Fact(name, a, dice.pick(a.values)) for a in attributes))
        for name in names
    )


@dataclass(frozen=True, slots=True)
class World:
    """All entities of one seed, the often mentioned ones first in each kind."""

    kinds: Mapping[str, tuple[Entity, ...]]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities of every kind."""
        return tuple(entity for kind in self.kinds.values() for entity in kind)

    def mention(self, dice: Dice) -> Entity:
        """Draw an entity; the first of a kind comes up ten times as often as the last.

        Uneven use makes some facts easy and some hard, so that no size of model finds all of the
        world out of its reach, and none knows it all.
        """
        entities = dice.pick(tuple(self.kinds.values()))
        while True:
            index = dice.below(len(entities))
            if dice.chance(1.0 / (1.0 + 9.0 * index / len(entities))):
                return entities[index]


def make_world(seed: int) -> World:
    """Return the world of a seed."""
    dice = Dice(seed, "world")
    towns = dice.sample([a + b for a, b in product(_TOWN_STARTS, _TOWN_ENDS)], _TOWN_COUNT)
    people = dice.sample([f"{a} {b}" for a, b in product(_FIRST_NAMES, _LAST_NAMES)], _PERSON_COUNT)
    species = dice.sample(
        [f"the {a}{b}" for a, b in product(_SPECIES_STARTS, _SPECIES_ENDS)], _SPECIES_COUNT
    )
    return World(
        {
            "town": _entities(dice, "the town", towns, _town_attributes(tuple(people))),
            "person": _entities(dice, "", people, _person_attributes(tuple(towns))),
            "animal": _entities(dice, "the animal", species, _species_attributes()),
        }
    )


def training_passage(world: World, dice: Dice) -> str:
    """Return a few facts, of one entity or of several, in sentences allowed in training."""
    if dice.chance(0.4):
        chosen = [dice.pick(world.mention(dice).facts) for _ in range(dice.between(3, 5))]
        return " ".join(fact.sentence(dice.pick(fact.training_templates)) for fact in chosen)
    entity = world.mention(dice)
    sentences: list[str] = []
    for fact in dice.sample(entity.facts, dice.between(3, len(entity.facts))):
        subject = entity.subject if sentences and dice.chance(0.3) else ""
        sentences.append(fact.sentence(dice.pick(fact.training_templates), subject))
    return " ".join(sentences)


def held_out_passage(entity: Entity, dice: Dice) -> str:
    """Return all facts of an entity in the sentences kept out of training."""
    return " ".join(f.sentence(f.held_out_template) for f in dice.shuffled(entity.facts))
