"""Which device has which model, and bringing all of them to an experiment's: real caches and files.

Two devices stand for a fleet: agents of this process, each with a cache of its own.
"""

import io
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rich.console import Console

from odllm_agent import models
from odllm_agent.clock import now
from odllm_agent.contract import (
    Device,
    Event,
    EventKind,
    Failure,
    Holding,
    ModelFile,
    ModelRequest,
    Progress,
    Quantization,
    Source,
)
from odllm_agent.errors import OdllmError
from odllm_agent.models import Cache, local_file
from odllm_agent.network.address import Address
from odllm_controller.cli.commands import fleet_models
from odllm_controller.cli.commands.fleet_models import FleetModelsOptions
from odllm_controller.cli.main import _models
from odllm_controller.head import starting
from tests import family, support
from tests.joining import free_port, join
from tests.models import write_gguf
from tests.odllm_controller.configs import SMALL, experiment

PLENTY = 10**12

T = TypeVar("T")


@dataclass
class NearAgent:
    """An agent of this process: what the actor does, without Ray."""

    device: Device
    root: Path
    together: threading.Barrier | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def cache(self) -> Cache:
        return Cache(self.root, report=self._report)

    def prepare(
        self, request: ModelRequest, show: Callable[[Progress], None] | None = None
    ) -> ModelFile | Failure:
        if self.together:
            self.together.wait(family.PATIENCE_S)
        return self._told(lambda: models.prepare(request, self.cache, PLENTY))

    def holdings(self) -> tuple[Holding, ...] | Failure:
        return self._told(lambda: models.holdings(self.cache))

    def unneeded(self, requests: tuple[ModelRequest, ...]) -> tuple[Holding, ...] | Failure:
        return self._told(lambda: models.unneeded(requests, self.cache))

    def remove(self, sha256s: tuple[str, ...]) -> tuple[str, ...] | Failure:
        return self._told(lambda: models.removed(sha256s, self.cache))

    def _report(self, kind: EventKind, detail: str) -> None:
        self.events.append(Event(now(), kind, self.device.id, detail))

    def _told(self, action: Callable[[], T]) -> T | Failure:
        try:
            return action()
        except OdllmError as error:
            return Failure.of(error)


@dataclass
class Fleet:
    """Two devices, and what a command about them prints."""

    agents: list[NearAgent]
    model: Path
    template: Path
    capsys: pytest.CaptureFixture[str]

    def asked(self, *arguments: str) -> tuple[bool, str]:
        """Whether a command did all, and what it printed."""
        _, given, _ = _models.parse_args(arguments)
        (action, *overrides), options = (
            given.args,
            given.arguments.get("options", FleetModelsOptions()),
        )
        paper = io.StringIO()
        console = Console(file=paper, width=300)
        self.capsys.readouterr()
        if action == "list":
            done = fleet_models.list_models(options, console)
        else:
            wanted = experiment(
                *SMALL[1:], f"models.file.path={self.model}", *overrides, name="sweep"
            )
            act = {"push": fleet_models.push_models, "prune": fleet_models.prune_models}
            done = act[action](wanted, options, console)
        return done, paper.getvalue() + self.capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.asked(*arguments, "--json")[1])

    def has_both(self) -> None:
        """Lets both devices have both types."""
        for agent in self.agents:
            shutil.copytree(self.template / "cache", agent.root)

    def types(self) -> list[list[str]]:
        """The types of the models that each device has."""
        return [
            sorted(model["quantization"] for model in device["models"])
            for device in self.json("list")
        ]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and a cache with both types of it."""
    folder = tmp_path_factory.mktemp("template")
    model = write_gguf(folder / "tiny-F16.gguf")
    for kind in (Quantization("Q8_0"), Quantization("Q4_0")):
        request = ModelRequest("file", Source.FILE, str(model), kind)
        models.prepare(request, Cache(folder / "cache"), PLENTY)
    return folder


@pytest.fixture
def fleet(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Fleet:
    agents = [NearAgent(support.device(name), tmp_path / name) for name in ("desk", "lap")]
    monkeypatch.setattr(fleet_models, "fleet", partial(nullcontext, agents))
    return Fleet(agents, Path(shutil.copy(template / "tiny-F16.gguf", tmp_path)), template, capsys)


def test_every_device_gets_what_an_experiment_names(fleet: Fleet) -> None:
    done, told = fleet.asked("push")
    assert done
    assert fleet.types() == [["Q4_0", "Q8_0"]] * 2
    assert "desk: 2 of 2 models are ready" in told


def test_devices_get_their_models_at_the_same_time(fleet: Fleet) -> None:
    together = threading.Barrier(2)
    fleet.has_both()
    for agent in fleet.agents:
        agent.together = together
    assert fleet.asked("push")[0]


def test_each_change_is_an_event_of_its_device(fleet: Fleet) -> None:
    pushed = fleet.json("push")
    fleet.asked("prune", "models.file.quantizations=[Q8_0]", "--yes")
    for agent in fleet.agents:
        told = [(event.device_id, event.kind) for event in agent.events]
        here = agent.device.id
        assert told == [*[(here, "model_added")] * 2, (here, "model_removed")]
        assert agent.events[0].detail.startswith(f"{pushed[0]['outcome']['sha256']}: ")


def test_a_device_that_cannot_have_a_model_is_told_and_the_others_go_on(fleet: Fleet) -> None:
    (fleet.agents[0].root).write_text("no folder can be here")
    done, told = fleet.asked("push")
    assert not done
    assert "desk: 0 of 2 models are ready" in told
    assert "lap: 2 of 2 models are ready" in told
    assert "ODLLM_CACHE_DIR" in told


def test_what_an_experiment_does_not_name_is_only_told_unless_agreed_to(fleet: Fleet) -> None:
    fleet.has_both()
    for _ in range(2):
        done, told = fleet.asked("prune", "models.file.quantizations=[Q8_0]")
        assert done
        assert "Q4_0" in told
        assert "Q8_0" not in told.replace("from", "")
        assert "desk: 1, 0." in told
    assert fleet.types() == [["Q4_0", "Q8_0"]] * 2


@pytest.mark.parametrize(("answer", "left"), [("y\n", ["Q8_0"]), ("\n", ["Q4_0", "Q8_0"])])
def test_on_a_terminal_it_is_asked(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, answer: str, left: list[str]
) -> None:
    fleet.has_both()
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    _, told = fleet.asked("prune", "models.file.quantizations=[Q8_0]")
    assert "remove 2 with " in told
    assert fleet.types() == [left] * 2


def test_with_yes_it_is_removed_from_every_device(fleet: Fleet) -> None:
    fleet.has_both()
    done, told = fleet.asked("prune", "models.file.quantizations=[Q8_0]", "--yes")
    assert done
    assert "desk: 1 removed, 0." in told
    assert "lap: 1 removed, 0." in told
    assert fleet.types() == [["Q8_0"]] * 2


def test_what_is_in_use_is_told_and_stays(fleet: Fleet) -> None:
    fleet.has_both()
    user = fleet.agents[0].cache
    (four,) = (each for each in models.holdings(user) if each.quantization == "Q4_0")
    user.hold(four.sha256)
    done, told = fleet.asked("prune", "models.file.quantizations=[Q8_0]", "--yes")
    assert not done
    assert f"desk: in use, not removed: {four.sha256}" in told
    assert fleet.types() == [["Q4_0", "Q8_0"], ["Q8_0"]]


def test_a_device_that_cannot_tell_is_not_pruned(fleet: Fleet) -> None:
    fleet.has_both()
    fleet.model.unlink()
    done, told = fleet.asked("prune", "models.file.quantizations=[Q8_0]", "--yes")
    assert not done
    assert "tiny-F16.gguf" in told
    assert fleet.types() == [["Q4_0", "Q8_0"]] * 2


def test_who_has_which_is_a_table_and_a_total(fleet: Fleet) -> None:
    assert fleet.asked("list") == (True, "desk: 0, 0.0 MB\nlap: 0, 0.0 MB\n")
    fleet.has_both()
    _, told = fleet.asked("list")
    assert [line.split()[0] for line in told.splitlines()] == [
        "device", "desk", "desk", "lap", "lap", "desk:", "lap:"
    ]  # fmt: skip


def test_what_quality_compares_with_is_named_too() -> None:
    overrides = [each for each in SMALL[1:] if each != "quality=none"]
    wanted = experiment(*overrides, "models.file.path=/m.gguf", name="sweep")
    kinds = [request.quantization for request in fleet_models.requests(wanted)]
    assert kinds == [Quantization("Q8_0"), Quantization("Q4_0"), None]


@dataclass
class Command:
    """Runs `odllm fleet models` as a person does."""

    model: Path
    sha256: str

    def __call__(self, *arguments: str) -> Any:
        named = (
            "+experiment=reference",
            *SMALL[1:],
            f"models.file.path={self.model}",
            f"models.file.sha256={self.sha256}",
        )
        action, *more = arguments
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "odllm_controller", "fleet", "models", action, "--json"),
                *(() if action == "list" else named),
                *more,
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.model.parent,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


@pytest.mark.ray
def test_a_laptop_that_joined_gets_a_file_by_the_fleet_tells_of_it_and_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_FLEET_DIR", str(tmp_path / "fleet"))
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path / "served"))
    source = write_gguf(tmp_path / "tiny-F16.gguf")
    sha256 = local_file.add([source], Cache(tmp_path / "served")).sha256
    source.unlink()
    head = starting.start(Address("127.0.0.1", free_port()))
    laptop = {"ODLLM_CACHE_DIR": str(tmp_path / "laptop-cache")}
    options = ("--name", "lab-1", "--model-server", head.model_server)
    try:
        with join(tmp_path, head.address, head.token_file, *options, variables=laptop) as device:
            device.says("joined the fleet")
            command = Command(source, sha256)
            pushed = command("push")
            assert [each["outcome"]["quantization"] for each in pushed] == ["Q8_0", "Q4_0"]
            (told,) = command("list")
            kept = {each["quantization"]: each for each in told["models"]}
            assert set(kept) == {"F16", "Q8_0", "Q4_0"}
            assert kept["F16"]["sha256"] == sha256
            assert f"by the fleet's model server {head.model_server}" in kept["F16"]["origin"]
            pruned = command("prune", "models.file.quantizations=[Q8_0]", "--yes")
            assert [each["quantization"] for each in pruned["removed"][0]["models"]] == ["Q4_0"]
    finally:
        head.end()
    kinds = [json.loads(line)["event"]["kind"] for line in journal(tmp_path)]
    changes = [kind for kind in kinds if kind.startswith("model_")]
    assert changes == [*["model_added"] * 3, "model_removed"]


def journal(folder: Path) -> list[str]:
    """What lies in the laptop's journal, in its order."""
    entries = sorted(folder.rglob("*.entry"))
    return [entry.read_text().splitlines()[1] for entry in entries]
