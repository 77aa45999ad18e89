"""The experiments that Hydra composes of what was asked."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from odllm_controller.overrides import conf, meant
from odllm_controller.overrides.asked import Asked
from odllm_controller.overrides.writing import override

Job = Callable[[DictConfig, Asked], None]
"""Is given a composed config, and what would compose it alone."""

_FULL_ERROR = "HYDRA_FULL_ERROR"
_SWEEP_DIR = "hydra.sweep.dir"


def composed(asked: Asked, job: Job) -> None:
    """Has Hydra do what was asked of it: a job, or each of several, or to tell something.

    Args:
        asked: What was asked.
        job: Is called once for each job.

    Raises:
        UsageError: Nothing can be composed of it.
    """
    begun = False

    @hydra.main(version_base="1.3", config_path=str(conf.FOLDER), config_name="config")
    def each_job(config: DictConfig) -> None:
        nonlocal begun
        begun = True
        told = HydraConfig.get().overrides
        with _variable(_FULL_ERROR, full_error):
            job(config, asked.job([*_as_written(told.task), *_as_written(told.hydra)]))

    full_error = os.environ.get(_FULL_ERROR)
    with _words(asked), _variable(_FULL_ERROR, "1"):
        try:
            each_job()
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if begun:
                raise
            raise meant.of_error(error, asked.overrides) from error


def _as_written(overrides: Any) -> list[str]:
    """Overrides in which `${name}` is left as it was, which may refer to nothing."""
    return [str(each) for each in OmegaConf.to_container(overrides, resolve=False) or ()]


@contextlib.contextmanager
def _words(asked: Asked) -> Iterator[None]:
    """Puts what was asked where Hydra reads it."""
    before = sys.argv
    with contextlib.ExitStack() as stack:
        overrides = [*asked.overrides]
        if asked.is_multirun and not any(_SWEEP_DIR in each for each in overrides):
            # Hydra keeps notes of a sweep, for which nobody has asked.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="odllm-sweep-"))
            overrides.append(override(_SWEEP_DIR, folder))
        # Hydra takes overrides in one piece only.
        sys.argv = [before[0], *overrides, *asked.options]
        try:
            yield
        finally:
            sys.argv = before


@contextlib.contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """Sets a variable of the environment for a while; `None` takes it away."""
    before = os.environ.get(name)
    _set(name, value)
    try:
        yield
    finally:
        _set(name, before)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
