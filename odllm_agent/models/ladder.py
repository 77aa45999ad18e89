"""The source `reference`: the small trained models that ship inside this package.

They are read where they are installed. The cache holds what was made on the device and could be
removed; a copy of files that are there anyway would only cost space.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from odllm_agent.cache.cache import Cache
from odllm_agent.contract import ModelRequest
from odllm_agent.errors import ModelMissing, UsageError
from odllm_agent.models.origin import Origin


def locate(request: ModelRequest, _cache: Cache) -> Origin:
    """The packaged F16 file of that name.

    Raises:
        UsageError: There is no such reference model.
        ModelMissing: The package was installed without its reference models.
    """
    known = origins()
    if request.location not in known:
        raise UsageError(
            f"there is no reference model named {request.location!r}",
            f"known reference models: {', '.join(known)}",
        )
    return known[request.location]


def foresee(request: ModelRequest, cache: Cache, _folder: Path) -> Origin:
    """The same file, which is there already; see `locate`."""
    return locate(request, cache)


@cache
def origins() -> Mapping[str, Origin]:
    """Every reference model by name, the smallest first.

    Raises:
        ModelMissing: The package was installed without them.
    """
    try:
        content = json.loads((folder() / "ladder.json").read_bytes())
    except FileNotFoundError as error:
        raise ModelMissing(
            f"the reference models are not installed: {error.filename} is not there",
            "install odllm again; its wheel holds them",
        ) from error
    models = sorted(content["models"], key=lambda model: int(model["n_params"]))
    return {model["name"]: Origin(folder() / model["file"], model["sha256"]) for model in models}


def folder() -> Path:
    """The folder of the packaged models and texts."""
    return Path(str(resources.files("odllm_agent.models"))) / "reference"
