"""An experiment as Hydra composes it, checked and typed.

Hydra composes the files under conf/ and the command line; pydantic checks the result, because a
swept value may be one value or a list of them, which Hydra's own typed configs cannot say.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from odllm_agent.contract import Cooldown, ImatrixSource, Quantization, Source
from odllm_agent.contract.model import PINNED_PACKAGE
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.formats.file_types import FILE_TYPES
from odllm_agent.host.limits import hours
from odllm_agent.terminal.arguments import nearest
from odllm_controller.experiment.selection import Selection

AUTO = "auto"
AS_IS = "as_is"

T = TypeVar("T")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _quantization(value: object) -> Quantization | None:
    if value is None or value == AS_IS:
        return None
    try:
        asked = Quantization(str(value))
    except ValueError as error:
        raise PydanticCustomError("quantization", "{told}", {"told": str(error)}) from error
    if asked.type not in FILE_TYPES:
        told = nearest(asked.type, [*FILE_TYPES, AS_IS])
        raise PydanticCustomError("quantization", "{told}", {"told": told})
    return asked


Swept = Annotated[tuple[T, ...], BeforeValidator(_listed), Field(min_length=1)]
Wanted = Annotated[Quantization | None, PlainValidator(_quantization)]
Count = Annotated[int, Field(ge=0, strict=True)]
Size = Annotated[int, Field(ge=1, strict=True)]
EngineConfig = Mapping[str, Swept[Any]]

_MODEL_KEYS: Mapping[Source, tuple[str, ...]] = {
    Source.FILE: ("path",),
    Source.SHAPE: ("architecture",),
    Source.HUB: ("repository", "file", "revision"),
    Source.PACKAGE: ("packages", "sha256"),
}
_OPTIONAL_KEYS: Mapping[Source, tuple[str, ...]] = {
    Source.REFERENCE: ("sha256",),
    Source.FILE: ("sha256",),
    Source.SHAPE: ("sha256", "seed"),
    Source.HUB: ("sha256",),
    Source.PACKAGE: ("file",),
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelConfig(_Section):
    """A model: where it comes from, and which types of it are made."""

    source: Source
    path: str | None = None
    architecture: str | None = None
    seed: Count | None = None
    repository: str | None = None
    file: str | None = None
    revision: str | None = None
    packages: Swept[Annotated[str, Field(pattern=f"^{PINNED_PACKAGE}$")]] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    quantizations: Swept[Wanted] | None = None
    requantize: bool = False
    imatrix: str | None = None

    @model_validator(mode="after")
    def _of_its_source(self) -> "ModelConfig":
        needed = _MODEL_KEYS.get(self.source, ())
        known = (*needed, *_OPTIONAL_KEYS[self.source])
        keys = (*_MODEL_KEYS.values(), *_OPTIONAL_KEYS.values())
        for key in dict.fromkeys(key for each in keys for key in each):
            given = getattr(self, key) is not None
            if given and key not in known:
                raise ValueError(f"source={self.source} has no {key}")
            if not given and key in needed:
                raise ValueError(f"source={self.source} needs {key}")
        return self

    def location(self, name: str) -> str:
        """Where the source finds the model of that name; see `ModelRequest`."""
        if self.source is Source.HUB:
            return f"{self.repository}/{self.file}@{self.revision}"
        if self.packages:
            return "/".join(filter(None, (",".join(self.packages), self.file)))
        return self.path or self.architecture or name


class WorkloadConfig(_Section):
    """Sizes of a workload in tokens; each may be a list."""

    prompt_tokens: Swept[Size]
    output_tokens: Swept[Size]
    depth_tokens: Swept[Count] = (0,)


class RepeatsConfig(_Section):
    """How often a round measures a trial; see `RepeatPolicy`."""

    warmups: Count
    at_least: Size
    at_most: Size
    interval_target: PositiveFloat

    @model_validator(mode="after")
    def _in_order(self) -> "RepeatsConfig":
        if self.at_least > self.at_most:
            raise ValueError(f"at_least={self.at_least} is more than at_most={self.at_most}")
        return self


class CooldownConfig(_Section):
    """What a device waits for before each trial of a round; see `Cooldown`."""

    below_c: PositiveFloat | None
    at_most_s: NonNegativeFloat
    pause_s: NonNegativeFloat

    @property
    def longest_s(self) -> float:
        """The most that is waited before a trial."""
        return Cooldown(**self.model_dump()).longest_s


class PowerConfig(_Section):
    """Which power meters are read, and for how long while nothing is measured.

    The other values are for the meters' names to refer to.
    """

    meters: tuple[str, ...]
    idle_s: NonNegativeFloat = 5.0
    tdp_w: PositiveFloat | None = None
    path: str | None = None


TextMetric = Literal["perplexity", "kld", "top1_agreement", "delta_p", "delta_p_rms"]


class QualityConfig(_Section):
    """Which scores are computed on a text, and which tasks are solved; see docs/quality.md."""

    metrics: tuple[TextMetric, ...]
    text: str
    # Below it the second half of a window has too few tokens for a standard error.
    window_tokens: Annotated[int, Field(ge=6, strict=True)]
    max_windows: Size | None
    tasks: tuple[str, ...]
    # A share of a single answer has no standard error.
    limit: Annotated[int, Field(ge=2, strict=True)] | None
    allow_code_execution: tuple[str, ...]


class LimitsConfig(_Section):
    """When a device may be measured on; see `Limits`."""

    hours: str | None = None
    on_mains: bool = False
    min_battery_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    max_temperature_c: PositiveFloat | None = None

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, value: str | None) -> str | None:
        if value is not None:
            hours(value)
        return value


class FleetConfig(_Section):
    """Where the trials run, and how long a device that does not answer is waited for."""

    kind: Literal["local", "ray", "virtual", "simulated"]
    devices: Size | None = None
    actors: Size | None = None
    select: str | None = None
    grace_s: NonNegativeFloat
    limits: LimitsConfig

    @field_validator("select")
    @classmethod
    def _is_selection(cls, value: str | None) -> str | None:
        if value is not None:
            Selection(value)
        return value

    @model_validator(mode="after")
    def _of_its_kind(self) -> "FleetConfig":
        for name, given, kinds in (
            ("devices", self.devices, {"virtual", "simulated"}),
            ("actors", self.actors, {"simulated"}),
        ):
            if (given is None) == (self.kind in kinds):
                needs = "needs" if self.kind in kinds else "has no"
                raise ValueError(f"fleet={self.kind} {needs} {name}")
        return self


class StoreConfig(_Section):
    """Where the results are kept."""

    path: Annotated[Path, AfterValidator(typed_path)]


class Experiment(_Section):
    """A whole experiment."""

    name: str
    without_index: str | None
    seed: Count
    rounds: PositiveInt
    rounds_at_most: PositiveInt | None
    deadline_s: PositiveFloat
    ceilings: Literal["missing", "again", "never"]
    repeats: RepeatsConfig
    cooldown: CooldownConfig
    models: Mapping[str, ModelConfig] = Field(min_length=1)
    quantizations: Swept[Wanted]
    imatrix: str | None
    engines: Mapping[str, EngineConfig] = Field(min_length=1)
    workloads: Mapping[str, WorkloadConfig] = Field(min_length=1)
    power: PowerConfig
    quality: QualityConfig
    fleet: FleetConfig
    store: StoreConfig

    @model_validator(mode="after")
    def _rounds_in_order(self) -> "Experiment":
        if self.most_rounds < self.rounds:
            raise ValueError(
                f"rounds={self.rounds} is more than rounds_at_most={self.rounds_at_most}"
            )
        return self

    def imatrix_of(self, model: ModelConfig) -> ImatrixSource | None:
        """Where the importance matrix of a model comes from, if one is named.

        Of the text that quality is measured on, only what is not read for that is taken.
        """
        place = model.imatrix or self.imatrix
        if place is None:
            return None
        source = ImatrixSource(place)
        if source.text != self.quality.text or not self.quality.metrics:
            return source
        n_judged = (self.quality.max_windows or 0) * self.quality.window_tokens
        return replace(source, first_token=n_judged)

    @model_validator(mode="after")
    def _no_matrix_of_what_is_judged(self) -> "Experiment":
        if not self.quality.metrics or self.quality.max_windows is not None:
            return self
        for model in self.models.values():
            source = self.imatrix_of(model)
            asked = model.quantizations or self.quantizations
            wanted = any(each and each.imatrix for each in asked)
            if wanted and source and source.text == self.quality.text:
                raise ValueError(
                    f"imatrix={source.place} is the text that quality is measured on, all of it: "
                    "name another text, or set quality.max_windows"
                )
        return self

    @property
    def most_rounds(self) -> int:
        """The rounds that a trial takes if its interval stays wide."""
        return self.rounds_at_most or self.rounds

    @field_validator("engines")
    @classmethod
    def _known_settings(cls, engines: Mapping[str, EngineConfig]) -> Mapping[str, EngineConfig]:
        for name, settings in engines.items():
            for key, values in settings.items():
                for value in values:
                    threads = {"threads": 1} if value == AUTO or key != "threads" else {}
                    check_settings(name, {key: value} | threads)
        return engines


def experiment(config: DictConfig) -> Experiment:
    """The experiment that a composed config describes.

    Raises:
        UsageError: A value is missing, unknown, of the wrong type or out of its limits; the
            message names it by the name that a command line would use.
    """
    if OmegaConf.is_missing(config, "name"):
        # A group that is misspelt after a `+` becomes a setting of its own.
        for unknown in {*map(str, config)}.difference(Experiment.model_fields):
            told = f"{unknown}={config[unknown]!r}: {_no_setting((unknown,))}"
            raise UsageError(told, "`odllm run --help` tells all settings")
        raise UsageError("no experiment is named", "name one, such as +experiment=sweep")
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except InterpolationResolutionError as error:
        raise UsageError(
            f"{error.full_key} refers to what is not there: {str(error).splitlines()[0]}",
            r"`${name}` refers to a setting; where the text itself is meant, write `\${name}`",
        ) from error
    except MissingMandatoryValue as error:
        raise UsageError(f"{error.full_key} is not set", f"set it: {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise UsageError(
            f"the experiment is not complete: {error}".strip(),
            "set the missing value in the experiment's file or on the command line",
        ) from error
    try:
        return Experiment.model_validate(plain)
    except ValidationError as error:
        told = "; ".join(_told(each) for each in error.errors())
        raise UsageError(told, "`odllm run --cfg job` shows the whole config") from error


def _told(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}={error['input']!r}: {_no_setting(error['loc'])}"
    known = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    msg = nearest(str(error["input"]), known) if known else error["msg"]
    return f"{place}={error['input']!r}: {msg}"


def _no_setting(place: Sequence[int | str]) -> str:
    """That there is no setting at a place, and which of those beside it may have been meant."""
    *within, name = map(str, place)
    section: Any = Experiment
    for part in within:
        field = getattr(section, "model_fields", {}).get(part)
        section = field.annotation if field else None
    known = [*getattr(section, "model_fields", ())]
    groups = () if within else ("experiment",)
    told = "there is no such setting"
    return f"{told}; {nearest(name, [*known, *groups])}" if known else told
