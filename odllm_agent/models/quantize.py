"""The quantizing process: `python -m odllm_agent.models.quantize SOURCE TARGET TYPE`."""

import argparse
import ctypes
import os
import sys
from pathlib import Path

from odllm_agent.contract import Quantization
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.models.quantizer import RECIPES
from odllm_agent.processes.child import REFUSED, end_with_parent


def main() -> int:
    """Quantizes one file and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if llama.cpp says that it could not.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("type", type=Quantization)
    parser.add_argument("--threads", type=int, default=0, help="0: as llama.cpp sees fit")
    parser.add_argument("--dry-run", action="store_true", help="only tell every tensor's new type")
    options = parser.parse_args()
    end_with_parent()
    # llama-cpp-python's own callback drops most lines; the native one writes them to stderr.
    native.llama_log_set(native.llama_log_callback(), None)
    params = native.llama_model_quantize_default_params()
    params.ftype = RECIPES[options.type].file_type
    params.nthread = options.threads
    params.dry_run = options.dry_run
    status = native.llama_model_quantize(
        os.fsencode(options.source), os.fsencode(options.target), ctypes.byref(params)
    )
    return REFUSED if status else 0


if __name__ == "__main__":
    sys.exit(main())
