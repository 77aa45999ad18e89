"""Recording a run: what it was, and everything that it brings back."""

import contextlib
import platform
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from omegaconf import OmegaConf

from odllm_agent.clock import now
from odllm_agent.contract import (
    Baseline,
    Ceilings,
    Device,
    Failure,
    ModelRequest,
    Result,
    RoundResult,
    Skip,
    Trial,
)
from odllm_agent.errors import StoreError
from odllm_controller import reasons
from odllm_controller.config import Experiment
from odllm_controller.store import Run, Store

_PACKAGES = ("odllm", "ray", "duckdb", "hydra-core", "pydantic")


class Recorder:
    """Writes one run into a store, and remembers what was planned, failed or skipped.

    Args:
        store: Where to write.
        experiment: What is run.
    """

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self._store = store
        self._experiment = experiment
        self.run_id = f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.failures: list[str] = []
        self.skips: list[str] = []
        self.n_planned = 0
        store.add_run(
            Run(
                id=self.run_id,
                started_at=now(),
                experiment=experiment.name,
                command=" ".join(sys.argv),
                config_yaml=config_yaml(experiment),
                seed=experiment.seed,
                versions=versions(),
                git_commit=git_commit(),
            )
        )

    def plan(self, device: Device, trials: Sequence[Trial]) -> None:
        """Records what a device is and what it has to do."""
        asked = self._experiment
        self._store.add_device(self.run_id, device)
        self._store.add_plan(
            self.run_id, trials, asked.rounds, asked.rounds_at_most, asked.repeats.interval_target
        )
        self.n_planned += len(trials)

    def skipped(self, device: Device, skips: Sequence[Skip]) -> None:
        """Records what is not tried on a device; what is alike is told in one line."""
        self._store.add_skips(self.run_id, skips)
        self.skips += reasons.lines(
            (
                skip.model.label,
                f"{skip.engine.name} on {device.name}",
                skip.reason,
            )
            for skip in skips
        )

    def unprepared(self, device: Device, request: ModelRequest, failure: Failure) -> None:
        """Records that a model could not be made ready on a device."""
        self.failures.append(_told(f"{request.label} on {device.name}", failure))
        self._store.add_failure(self.run_id, device.id, request, failure)

    def ceilings(self, found: Ceilings) -> None:
        """Records what a device does at most."""
        self._store.add_ceilings(self.run_id, found)

    def result(self, result: Result) -> None:
        """Records a result as it comes in."""
        if isinstance(result, Ceilings):
            self.ceilings(result)
            return
        if isinstance(result, RoundResult):
            self._store.add_round(self.run_id, result)
            what = f"{result.trial.model.label}, round {result.round + 1}"
        elif isinstance(result, Baseline):
            self._store.add_baseline(self.run_id, result)
            what = f"the rest before round {result.round + 1}"
        else:
            self._store.add_quality(self.run_id, result)
            what = f"{result.check.model.label}, {result.check.subject}"
        if result.failure:
            self.failures.append(_told(what, result.failure))


@contextlib.contextmanager
def recording(store: Store, experiment: Experiment) -> Iterator[Recorder]:
    """A run that is written down from its start to its end, however it ends.

    Args:
        store: Where to write.
        experiment: What is run.

    Raises:
        StoreError: The store cannot be written.
    """
    recorder = Recorder(store, experiment)
    try:
        yield recorder
    except BaseException as error:
        # A store that cannot be written any more cannot be told so either.
        with contextlib.suppress(StoreError):
            interrupted = isinstance(error, KeyboardInterrupt)
            store.end_run(recorder.run_id, now(), "interrupted" if interrupted else "failed")
        raise
    store.end_run(recorder.run_id, now(), "failed" if recorder.failures else "done")


def _told(what: str, failure: Failure) -> str:
    lines = [f"{what}: {failure.message}", failure.remedy, *failure.log.splitlines()[-3:]]
    return "\n    ".join(line for line in lines if line)


def config_yaml(experiment: Experiment) -> str:
    """The whole resolved config of an experiment."""
    return OmegaConf.to_yaml(OmegaConf.create(experiment.model_dump(mode="json")))


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
