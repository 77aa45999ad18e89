"""The files of `conf/`, wherever this ODLLM is installed: groups of configs, with their options."""

from importlib import resources
from pathlib import Path

FOLDER = Path(str(resources.files("odllm_conf")))
"""The folder that Hydra composes experiments from."""


def option(group: str, name: str) -> Path:
    """The file of an option of a group, such as `model` and `reference-1.6M`, there or not."""
    return FOLDER / group / f"{name}.yaml"


def options(group: str) -> tuple[str, ...]:
    """The names of all options of a group, sorted."""
    return tuple(sorted(path.stem for path in (FOLDER / group).glob("*.yaml")))


def groups() -> tuple[str, ...]:
    """The names of all groups, sorted."""
    return tuple(sorted({path.parent.name for path in FOLDER.glob("*/*.yaml")}))
