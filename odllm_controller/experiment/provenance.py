"""What a run was: its config, and the versions of what carries it out."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import yaml

from odllm_controller.experiment.config import Experiment

_PACKAGES = ("odllm", "ray", "duckdb", "hydra-core", "pydantic")


def config_yaml(experiment: Experiment) -> str:
    """The whole resolved config of an experiment."""
    plain = experiment.model_dump(mode="json")
    # Not by OmegaConf, to which a `${` in a path would refer to something once more.
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return text


def versions() -> dict[str, str]:
    """Of Python and of the controller's packages, by name."""
    return {"python": platform.python_version()} | {
        package: metadata.version(package) for package in _PACKAGES
    }


def git_commit() -> str | None:
    """The commit of the checkout that the code runs from, `-dirty` if it was changed."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
