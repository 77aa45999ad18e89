"""The quantizing process: `python -m odllm_agent.models.quantize SOURCE TARGET TYPE`.

`--threads=N` names the number of threads, which llama.cpp chooses unless told; `--dry-run` only has
it tell every tensor's new type.
"""

import ctypes
import os
import sys

from odllm_agent.contract import Quantization
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.models.quantizer import RECIPES
from odllm_agent.processes.child import REFUSED, end_with_parent


def main() -> int:
    """Quantizes one file and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if llama.cpp says that it could not.
    """
    source, target, type_name, *rest = sys.argv[1:]
    options = {name: value for name, _, value in (word.partition("=") for word in rest)}
    end_with_parent()
    # llama-cpp-python's own callback drops most lines; the native one writes them to stderr.
    native.llama_log_set(native.llama_log_callback(), None)
    params = native.llama_model_quantize_default_params()
    params.ftype = RECIPES[Quantization(type_name)].file_type
    params.nthread = int(options.get("--threads", 0))
    params.dry_run = "--dry-run" in options
    status = native.llama_model_quantize(
        os.fsencode(source), os.fsencode(target), ctypes.byref(params)
    )
    return REFUSED if status else 0


if __name__ == "__main__":
    sys.exit(main())
