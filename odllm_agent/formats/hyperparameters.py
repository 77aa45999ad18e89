"""What a GGUF header says of its architecture: counts and lengths, for all blocks or for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Numbers = tuple[int | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The metadata of a model under the name of its architecture.

    Attributes:
        architecture: The architecture's name, such as `qwen2`.
        n_blocks: The number of transformer blocks.
        stated: Numbers, and lists of a number for each block, by key without the architecture's
            name.
    """

    architecture: str
    n_blocks: int
    stated: Mapping[str, int | float | bool | Numbers] = field(default_factory=dict, hash=False)

    def count(self, key: str, default: int = 0) -> int:
        """A count that holds for the whole model, or a default if none is stated."""
        return _count(self.stated.get(key), default)

    def of_block(self, key: str, block: int, default: int = 0) -> int:
        """A count that holds for one block, stated for it or for all of them."""
        value = self.stated.get(key)
        if isinstance(value, tuple):
            return _count(value[block], default) if block < len(value) else default
        return _count(value, default)

    def by_block(self, key: str) -> Numbers | None:
        """The numbers that are stated for each block, or `None` if there are none of that kind."""
        value = self.stated.get(key)
        return value if isinstance(value, tuple) else None


def _count(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default
