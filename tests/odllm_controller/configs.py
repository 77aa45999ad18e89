"""Experiments for the tests, composed by the real Hydra from the real conf/."""

from hydra import compose, initialize_config_dir

from odllm_controller.experiment import config
from odllm_controller.overrides.conf import FOLDER

SMALL = (
    "+experiment=reference",
    "engine=[llama_cpp]",
    "model=[file]",
    "models.file.quantizations=[Q8_0,Q4_0]",
    "quality=none",
    "rounds=2",
    "repeats.at_least=1",
    "repeats.at_most=1",
    "engines.llama_cpp.threads=1",
)
"""Overrides of a run that takes seconds: one model file, which they leave to be named."""


def experiment(*overrides: str, name: str | None = None) -> config.Experiment:
    """The experiment that a command line would give; unnamed, what every experiment starts from."""
    named = f"+experiment={name}" if name else "name=bare"
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        composed = compose("config", [named, *overrides])
    return config.experiment(composed)
