"""Model files as they would be, described and never made."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from odllm_agent import models
from odllm_agent.contract import Failure, ModelFile, ModelRequest, Source, to_json
from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.simulation.laptop import REASON

_SOURCES = (Source.SHAPE, Source.REFERENCE)


class Outlines:
    """What simulated devices have instead of a cache: each file is described once for all."""

    def __init__(self) -> None:
        self._known: dict[ModelRequest, ModelFile | Failure] = {}

    def of(self, request: ModelRequest) -> ModelFile | Failure:
        """The file that a request would give, or why there would be none."""
        if request not in self._known:
            try:
                self._known[request] = _outline(request)
            except OdllmError as error:
                self._known[request] = Failure.of(error)
        return self._known[request]


def _outline(request: ModelRequest) -> ModelFile:
    """A file by the quantizer's dry run; its checksum is one of what was asked for.

    Raises:
        UsageError: It would be a file that somebody has, or there is no such model.
        OdllmError: It cannot be foreseen; see `models.foresee`.
    """
    if request.source not in _SOURCES:
        raise UsageError(
            f"{request.name} comes from the source {request.source}, and a simulated device has "
            "no files",
            f"take a model of the source {' or '.join(_SOURCES)}",
        )
    with tempfile.TemporaryDirectory(prefix="odllm-simulated-") as folder:
        found = models.foresee(request, models.Cache(Path(folder, "cache")), Path(folder))
    asked = to_json(replace(request, name=""))
    sha256 = hashlib.sha256(f"simulated:{asked}".encode()).hexdigest()
    return replace(found.model, sha256=sha256, path="", no_quality=REASON)
