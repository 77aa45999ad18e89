"""Experiments for the tests, composed by the real Hydra from the real conf/."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from odllm_controller import config

CONF = Path(__file__).parents[2] / "conf"


def experiment(*overrides: str, name: str = "sweep") -> config.Experiment:
    """The experiment that a command line would give."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", [f"+experiment={name}", *overrides])
    return config.experiment(composed)
