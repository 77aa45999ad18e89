"""What trials will need on this device, told before anything is made, fetched or measured."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path

from odllm_agent import engines, models
from odllm_agent.contract import (
    Candidate,
    Engine,
    Failure,
    Forecast,
    Memory,
    ModelRequest,
    Rehearsal,
    Rehearsed,
)
from odllm_agent.engines import fallback
from odllm_agent.engines.base import Weights
from odllm_agent.engines.fallback import UNTRIED, Tried
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import ModelInvalid, OdllmError
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.host import state
from odllm_agent.trials import worker

_READER = Engine("llama_cpp", "", check_settings("llama_cpp", {"threads": 1}))
"""What reads a file's header where the engine that is asked for reads it only with its weights."""


def forecast(
    candidates: Sequence[Candidate],
    cache: models.Cache | None,
    meters: tuple[str, ...],
    available_bytes: int,
    tried: Tried = UNTRIED,
) -> tuple[Forecast, ...]:
    """What each candidate will need.

    Args:
        candidates: What is to be told about.
        cache: Where model files may be already, if anywhere.
        meters: Names of the power meters that the trials read.
        available_bytes: The memory that the device has free.
        tried: What of the device's engines does not work; what is told is of the next best then.

    Returns:
        A forecast per candidate; a failure is part of it, never raised.
    """
    groups = [tuple(alike) for _, alike in groupby(candidates, lambda each: each.request.location)]

    def tell(group: tuple[Candidate, ...]) -> list[Forecast]:
        with tempfile.TemporaryDirectory(prefix="odllm-forecast-") as folder:
            forecaster = _Forecaster(cache, Path(folder), meters, tried)
            return [replace(forecaster.of(each), available_bytes=available_bytes) for each in group]

    # Processes of their own do all of the work, so threads are enough to use every core.
    with ThreadPoolExecutor(state.logical_cores()) as pool:
        return tuple(chain.from_iterable(pool.map(tell, groups)))


class _Forecaster:
    """Remembers what candidates of one model have in common, so that it is found out once."""

    def __init__(
        self, cache: models.Cache | None, folder: Path, meters: tuple[str, ...], tried: Tried
    ) -> None:
        self._tried = tried
        self._cache = cache or models.Cache(folder / "cache")
        self._folder = folder
        self._meters = meters
        self._foreseen: dict[ModelRequest, models.Foreseen | Failure] = {}
        self._rehearsed: dict[object, Rehearsed | Failure] = {}
        self._refused: dict[Path, Failure | None] = {}

    def of(self, candidate: Candidate) -> Forecast:
        foreseen = self._foresee(candidate.request)
        if isinstance(foreseen, Failure):
            return Forecast(candidate, failure=foreseen)
        engine = fallback.choice(candidate.engine, self._tried, [foreseen.model]).engine
        candidate = replace(candidate, engine=engine)
        told = Forecast(candidate, foreseen.model, foreseen.download_bytes, foreseen.disk_bytes)
        try:
            reason = why_unsupported(candidate.engine.name, foreseen.model)
            header = foreseen.header
            if reason or header is None:
                return replace(told, reason=reason or engines.why_untold(candidate.engine))
            untold = engines.why_untold(candidate.engine)
            if untold:
                refusal = self._refusal(foreseen, header.path, candidate)
                return replace(told, reason=untold, failure=refusal)
            rehearsed = self._rehearse(foreseen, header.path, candidate)
            if isinstance(rehearsed, Failure):
                return replace(told, failure=rehearsed)
            return replace(told, memory=_memory(candidate.engine, header, rehearsed))
        except OdllmError as error:
            return replace(told, failure=Failure.of(error))

    def _foresee(self, request: ModelRequest) -> models.Foreseen | Failure:
        if request not in self._foreseen:
            try:
                self._foreseen[request] = models.foresee(request, self._cache, self._folder)
            except OdllmError as error:
                self._foreseen[request] = Failure.of(error)
        return self._foreseen[request]

    def _rehearse(
        self, foreseen: models.Foreseen, path: Path, candidate: Candidate
    ) -> Rehearsed | Failure:
        engine, workload = candidate.engine, candidate.workload
        # What is not weights does not depend on their types.
        key = (foreseen.source, engine.name, tuple(engine.settings.items()), workload)
        if key not in self._rehearsed:
            model = replace(foreseen.model, path=str(path))
            order = Rehearsal(model, engine, workload, self._meters)
            found = self._rehearsed[key] = worker.run_rehearsal(order)
            if engine.name == _READER.name:
                self._refused[foreseen.source] = _refused(found)
        return self._rehearsed[key]

    def _refusal(
        self, foreseen: models.Foreseen, path: Path, candidate: Candidate
    ) -> Failure | None:
        """Why llama.cpp refuses a file of which an engine tells nothing before it loads it.

        What one reader of GGUF refuses is not promised to the users of another.
        """
        if foreseen.source not in self._refused:
            self._rehearse(foreseen, path, replace(candidate, engine=_READER))
        return self._refused[foreseen.source]


def _refused(found: Rehearsed | Failure) -> Failure | None:
    if isinstance(found, Failure) and found.kind == ModelInvalid.__name__:
        return found
    return None


def _memory(engine: Engine, header: models.Header, rehearsed: Rehearsed) -> Memory:
    teller = engines.memory(engine.name)
    tensors = [Weights(each.name, each.type, each.shape, each.n_bytes) for each in header.tensors]
    weights = teller.weight_memory(engine, tensors)
    context = teller.context_memory(rehearsed.log, tensors)
    # A file is mapped as a whole; once the model is loaded, llama.cpp lets go of all but the part
    # from the first weight to the last.
    header_bytes = header.file_bytes - header.weight_bytes if weights.mapped_bytes else 0
    return Memory(
        baseline_bytes=rehearsed.baseline_bytes,
        mapped_bytes=weights.mapped_bytes,
        unread_bytes=weights.unread_bytes,
        loaded_bytes=weights.loaded_bytes,
        kv_bytes=context.kv_bytes,
        compute_bytes=context.compute_bytes,
        header_bytes=header_bytes,
    )
