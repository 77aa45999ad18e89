"""How many bytes this device reads from memory per second, by so many threads.

A pass is ggml's dot product of the halves of a buffer that no cache holds: every byte is read once,
in two streams, by code that is vectorised for this processor on any system. Python's threads do for
it, because ctypes lets go of the interpreter's lock during a call.
"""

import ctypes
import mmap
from concurrent.futures import ThreadPoolExecutor

from odllm_agent.engines.ceiling_passes import best_per_s
from odllm_agent.engines.llama_cpp.ggml import dot_product
from odllm_agent.errors import EngineError

METHOD = "ggml's dot product of two streams of 128 MiB in F32"

BUFFER_BYTES = 256 * 2**20
"""Far more than the caches of a laptop's processor hold; read in some hundredths of a second."""

_FLOAT_BYTES = 4
# What the vectorised code takes at once, so that nothing is left for a slower one.
_BLOCK_BYTES = 4096


def read_bytes_per_s(threads: int, available_bytes: int, budget_s: float) -> float:
    """Bytes per second of the quickest pass.

    Args:
        threads: The threads that read, each its own part.
        available_bytes: The memory that the device has free.
        budget_s: About how long to try.

    Raises:
        EngineError: There is too little memory for a buffer that no cache holds.
    """
    if available_bytes < 2 * BUFFER_BYTES:
        raise EngineError(
            f"the read bandwidth needs {2 * BUFFER_BYTES:,} bytes of free memory, and there are "
            f"{available_bytes:,}",
            "close other programs",
        )
    part_bytes = BUFFER_BYTES // threads // _BLOCK_BYTES * _BLOCK_BYTES
    buffer = mmap.mmap(-1, BUFFER_BYTES)
    start = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    # Pages that nothing was written to are all the same page, which a cache would hold.
    ctypes.memset(start, 0, BUFFER_BYTES)
    parts = [start + number * part_bytes for number in range(threads)]
    dot = dot_product("F32")

    def read(part: int) -> None:
        half_bytes = part_bytes // 2
        dot(half_bytes // _FLOAT_BYTES, part, part + half_bytes)

    with ThreadPoolExecutor(threads) as pool:
        return best_per_s(threads * part_bytes, lambda: list(pool.map(read, parts)), budget_s)
