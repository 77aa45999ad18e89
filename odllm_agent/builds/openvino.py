"""OpenVINO tried: a small model of each type in each form, a whole window and single tokens.

Run as `python -m odllm_agent.builds.openvino`, it says before each what it will try, and after it
how far off the logits were; whoever started it knows by that what ended it. They are set against
those of llama.cpp's plain code on the same file.
"""

import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from odllm_agent import engines, models
from odllm_agent.builds.lines import Outcomes, asked, say
from odllm_agent.contract import (
    Engine,
    Failure,
    ModelFile,
    ModelRequest,
    Outcome,
    PathTest,
    Quantization,
    Source,
)
from odllm_agent.engines.fallback import openvino_path
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError, OdllmError, SettingError
from odllm_agent.host import state
from odllm_agent.processes.child import end_with_parent

MOST_ERROR = 0.05
"""The most that logits may be off: the squared error, as a fraction of the squared values.

Converted weights, a KV cache of 8 bits and computing in bf16 are no fault: on the models that ship
with ODLLM they make up to 0.005.
"""

_MODEL = "reference-1.6M"
_TYPES: Mapping[str, Quantization | None] = {
    "F16": None,
    "Q8_0": Quantization("Q8_0"),
    "Q4_0": Quantization("Q4_0"),
    "Q4_K": Quantization("Q4_K_M"),
}
_FORMS = ("paged", "stateful")
_WINDOW_TOKENS, _SINGLE_TOKENS = 64, 4

Logits = NDArray[np.float32]


def main() -> None:
    """Tries every type in every form of which nothing is known yet."""
    threads, known, unsound = asked(sys.argv[1:])
    end_with_parent()
    try:
        for type_name in _TYPES:
            _try_type(type_name, threads, known, unsound)
    except OdllmError as error:
        say(Failure.of(error))


def _try_type(type_name: str, threads: int, outcomes: Outcomes, unsound: Sequence[str]) -> None:
    request = ModelRequest(_MODEL, Source.REFERENCE, _MODEL, _TYPES[type_name])
    file: ModelFile | None = None
    # How many threads are all, OpenVINO knows best.
    for form, count in product(_FORMS, (1,) if threads == 1 else (1, 0)):
        # What computes in f32 is only of interest where nothing else works.
        for precision in ("auto", "f32"):
            settings = {"attention": form, "threads": count, "inference_precision": precision}
            path = openvino_path(check_settings("openvino", settings), threads)
            outcome = outcomes.get((type_name, path))
            if outcome is None:
                begun = PathTest.begun(type_name, path)
                say(begun)
                file = file or models.prepare(
                    request, models.Cache.of_this_device(), state.available_bytes()
                )
                test = _tried(begun, file, settings, unsound)
                say(test)
                outcome = test.outcome
            if outcome is Outcome.RIGHT:
                break


def _tried(
    begun: PathTest, file: ModelFile, settings: Mapping[str, object], unsound: Sequence[str]
) -> PathTest:
    engine = _engine("openvino", settings)
    # What keeps a file from being converted is no fault of what computes.
    engines.prepare(engine, file)
    try:
        found = _logits(engine, file)
    except SettingError as error:
        return replace(begun, outcome=Outcome.REFUSED, detail=error.message)
    except EngineError as error:
        return replace(begun, outcome=Outcome.FAILED, detail=error.message)
    wanted = None if set(unsound) & set(file.tensor_types) else _wanted(file)
    if wanted is None:
        return replace(begun, outcome=Outcome.RIGHT, detail="its values were not compared")
    off = float(np.sum((found - wanted) ** 2, dtype=float) / np.sum(wanted**2, dtype=float))
    if off <= MOST_ERROR:
        return replace(begun, outcome=Outcome.RIGHT)
    told = f"off by {off:.1g} of the squared logits, where {MOST_ERROR:g} is allowed"
    return replace(begun, outcome=Outcome.WRONG, detail=told)


def _wanted(file: ModelFile) -> Logits | None:
    """The logits of llama.cpp's plain code, or `None` where it is not installed."""
    try:
        return _logits(_engine("llama_cpp", {"threads": 1, "repack": False}), file)
    except EngineError:
        return None


def _logits(engine: Engine, file: ModelFile) -> Logits:
    """Those of a whole window and of single tokens after it, shape (tokens, vocabulary)."""
    n_tokens = _WINDOW_TOKENS + _SINGLE_TOKENS
    with engines.load(engine, file, n_tokens) as session:
        chance = random.Random(session.vocabulary)  # noqa: S311 - not a secret
        tokens = [chance.randrange(session.vocabulary) for _ in range(n_tokens)]
        window = session.logits(tokens[:_WINDOW_TOKENS])
        single = [session.extend([token]) for token in tokens[_WINDOW_TOKENS:]]
        return np.concatenate([window, np.stack(single)])


def _engine(name: str, settings: Mapping[str, object]) -> Engine:
    return Engine(name, "", check_settings(name, settings))


if __name__ == "__main__":
    main()
    # As a worker does; what a library does at its end is no part of what is tried.
    sys.stdout.flush()
    os._exit(0)
