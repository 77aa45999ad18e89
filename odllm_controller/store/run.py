"""What a run is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One start of an experiment.

    Attributes:
        id: Its name in the store.
        started_at: When the controller began it.
        experiment: The experiment's name.
        command: The command line that started it.
        config_yaml: The whole resolved config.
        seed: What orders and token ids are drawn from.
        versions: Of Python and of the controller's packages, by name.
        git_commit: Of the checkout that the controller ran from, if it did.
        origin: `run`, or `import` of one that a device carried out without a controller.
    """

    id: str
    started_at: datetime
    experiment: str
    command: str
    config_yaml: str
    seed: int
    versions: Mapping[str, str]
    git_commit: str | None
    origin: str = "run"
