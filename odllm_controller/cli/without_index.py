"""What is run in the place of an experiment whose models no package index gives."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

from odllm_agent.contract import Source
from odllm_controller.experiment.config import Experiment, ModelConfig
from odllm_controller.overrides.asked import Asked

# Two deadlines of pip's for each name, and the start of a process on a slow laptop.
_PATIENCE_S = 90
_EXPERIMENT = "+experiment="
_MODELS = ("model=", "models.", "+models.", "++models.")


@dataclass(frozen=True, slots=True)
class Instead:
    """Another experiment in the place of one.

    Attributes:
        asked: What composes it.
        told: Why, in a sentence.
    """

    asked: Asked
    told: str


def instead(experiment: Experiment, asked: Asked) -> Instead | None:
    """The experiment that is run because no index gives the models of another, if there is one.

    Only on this very machine: what laptops of a fleet reach is theirs to find out. Models that were
    named on the command line are what is wanted, and nothing takes their place.

    Args:
        experiment: What was asked for.
        asked: What composes it alone.
    """
    name = experiment.without_index
    chosen = any(word.startswith(_MODELS) for word in asked.overrides)
    if name is None or chosen or experiment.fleet.kind not in {"local", "virtual"}:
        return None
    packaged = ((key, each) for key, each in experiment.models.items() if _is_packaged(each))
    for key, model in packaged:
        if trouble := _why_not(model.location(key), model.sha256 or ""):
            return Instead(
                replace(asked, overrides=tuple(_renamed(word, name) for word in asked.overrides)),
                f"{key} cannot be fetched ({trouble}), so the experiment `{name}` is run in place "
                f"of `{experiment.name}`",
            )
    return None


def _is_packaged(model: ModelConfig) -> bool:
    return model.source is Source.PACKAGE


def _renamed(word: str, experiment: str) -> str:
    return f"{_EXPERIMENT}{experiment}" if word.startswith(_EXPERIMENT) else word


def _why_not(location: str, sha256: str) -> str:
    """Why the agent of this machine cannot get a model, or `""`."""
    command = [sys.executable, "-m", "odllm_agent", "models", "find", f"package:{location}"]
    try:
        asked = subprocess.run(  # noqa: S603 - our own program
            [*command, "--sha256", sha256, "--json"],
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no index answers within {_PATIENCE_S} s"
    try:
        return str(json.loads(asked.stdout)["trouble"])
    except (ValueError, KeyError, TypeError):
        # What went wrong otherwise is told by the run itself.
        return ""
