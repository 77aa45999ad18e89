"""The source `file`: a path on the device."""

from pathlib import Path

from odllm_agent.cache.cache import Cache
from odllm_agent.contract import ModelRequest
from odllm_agent.models.origin import Origin


def locate(request: ModelRequest, _cache: Cache) -> Origin:
    """The file at the request's location."""
    return Origin(Path(request.location).expanduser().absolute())


def foresee(request: ModelRequest, cache: Cache, _folder: Path) -> Origin:
    """The same file, which is there already; see `locate`."""
    return locate(request, cache)
