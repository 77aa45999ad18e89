"""The collecting process: `python -m odllm_agent.models.imatrix.collect MODEL TEXT TARGET`.

The model reads a text in windows, from the token on whose number follows, with as many threads as
follow that; the importance matrix is written to TARGET. The sums are those of llama-imatrix:
squares of what each column of a matrix is multiplied with, apart for each expert.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odllm_agent.engines.llama_cpp.activations import watcher
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.engines.llama_cpp.vocabulary import Vocabulary
from odllm_agent.models.imatrix.making import TOO_SHORT
from odllm_agent.models.imatrix.matrix import Matrix, means
from odllm_agent.models.imatrix.reading import write_matrix
from odllm_agent.processes.child import REFUSED, end_with_parent

_WINDOW_TOKENS = 512
_MOST_WINDOWS = 100


class Sums:
    """Sums of squares by matrix, and of how many activations, apart for each expert."""

    def __init__(self) -> None:
        self._squares: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}

    def add(
        self,
        name: str,
        n_matrices: int,
        values: NDArray[np.float32],
        experts: NDArray[np.int32] | None,
    ) -> None:
        """Adds the activations of one matrix; see `Take`."""
        if name not in self._squares:
            self._squares[name] = np.zeros((n_matrices, values.shape[-1]))
            self._counts[name] = np.zeros(n_matrices, np.int64)
        squares, counts = self._squares[name], self._counts[name]
        if experts is None:
            squares += np.square(values, dtype=np.float64).sum((0, 1))
            counts += len(values)
            return
        for place in range(experts.shape[1]):
            # Where all of a token's experts get the same input, it is there once.
            inputs = np.square(values[:, place % values.shape[1]], dtype=np.float64)
            np.add.at(squares, experts[:, place], inputs)
            np.add.at(counts, experts[:, place], 1)

    def matrix(self, n_windows: int) -> Matrix:
        """The mean squares of all that was added."""
        values = {name: means(sums, self._counts[name]) for name, sums in self._squares.items()}
        return Matrix(values, n_windows=n_windows)


def main() -> int:
    """Collects one matrix and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if llama.cpp does not load the model or compute with it, or the text is too
        short.
    """
    model_path, text, target, first_token, threads = sys.argv[1:]
    end_with_parent()
    native.llama_log_set(native.llama_log_callback(), None)
    native.llama_backend_init()
    model = native.llama_model_load_from_file(
        model_path.encode(), native.llama_model_default_params()
    )
    if not model:
        return REFUSED
    window_tokens = min(_WINDOW_TOKENS, native.llama_model_n_ctx_train(model))
    vocabulary = Vocabulary(native.llama_model_get_vocab(model))
    tokens = vocabulary.tokenize(Path(text).read_text(encoding="utf-8"))
    rest = tokens[int(first_token) :][: _MOST_WINDOWS * window_tokens]
    windows = [
        rest[start : start + window_tokens]
        for start in range(0, len(rest) - window_tokens + 1, window_tokens)
    ]
    if not windows:
        sys.stderr.write(
            f"{TOO_SHORT}has {len(tokens):,} tokens, and of those behind the first "
            f"{int(first_token):,} there must be {window_tokens} or more\n"
        )
        return REFUSED
    sums = Sums()
    watch = watcher(sums.add)
    context = _context(model, window_tokens, int(threads), watch)
    if not context or not all(_read(context, window, vocabulary) for window in windows):
        return REFUSED
    write_matrix(Path(target), sums.matrix(len(windows)), window_tokens)
    return 0


def _context(model: int, window_tokens: int, threads: int, watch: Any) -> Any:
    params = native.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = window_tokens
    params.n_threads = params.n_threads_batch = threads
    params.cb_eval = watch
    return native.llama_init_from_model(model, params)


def _read(context: Any, window: Sequence[int], vocabulary: Vocabulary) -> bool:
    """Lets the model read a window; a token that texts start with takes its first token's place."""
    start = [] if vocabulary.start_token is None else [vocabulary.start_token]
    given = [*start, *window[len(start) :]]
    native.llama_memory_clear(native.llama_get_memory(context), False)
    batch = native.llama_batch_init(len(given), 0, 1)
    batch.n_tokens = len(given)
    for place, token in enumerate(given):
        batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, place, 1
        batch.seq_id[place][0] = 0
        # Without a token's logits the last block leaves it out.
        batch.logits[place] = True
    status = native.llama_decode(context, batch)
    native.llama_batch_free(batch)
    return bool(status == 0)


if __name__ == "__main__":
    sys.exit(main())
