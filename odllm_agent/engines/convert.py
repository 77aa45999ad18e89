"""The converting process: `python -m odllm_agent.engines.convert SOURCE TARGET`."""

import argparse
import shutil
import sys
import threading
from pathlib import Path

import openvino_genai

from odllm_agent.child import end_with_parent
from odllm_agent.engines.gguf_to_ir import REFUSED
from odllm_agent.engines.rope import put_right, read_rope


def main() -> int:
    """Converts one GGUF file into a folder and ends early if standard input closes.

    Returns:
        0, or `REFUSED` if the reader says that it could not.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    threading.Thread(target=end_with_parent, daemon=True).start()
    beside = _linked(options.source, options.target / "model.gguf")
    try:
        rope = read_rope(beside)
        # It has no call that only converts: it also compiles what it has written.
        openvino_genai.LLMPipeline(str(beside), "CPU", enable_save_ov_model=True)
        put_right(options.target, rope)
    except (RuntimeError, IndexError, ValueError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return REFUSED
    finally:
        beside.unlink()
    return 0


def _linked(source: Path, link: Path) -> Path:
    """The file under a name in the target's folder, because the reader writes beside it."""
    try:
        link.symlink_to(source.absolute())
    except OSError:
        shutil.copyfile(source, link)
    return link


if __name__ == "__main__":
    sys.exit(main())
