"""What a stored ceiling is one of."""

from typing import NamedTuple


class CeilingKey(NamedTuple):
    """What a ceiling is one of; one that is known need not be measured again.

    Attributes:
        device_id: The device.
        engine: The engine's name.
        engine_version: Its version.
        threads: The threads that it was told to use.
        name: `read`, or the type of the weights that are multiplied.
    """

    device_id: str
    engine: str
    engine_version: str
    threads: int
    name: str
