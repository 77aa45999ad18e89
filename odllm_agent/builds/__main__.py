"""Whether the engines here can be trusted: `python -m odllm_agent.builds`, as `make` asks.

It says what does not work of each. Its exit status is 1 if llama.cpp is missing or computes
anything wrongly, or could not be tried, so that compiling it anew may help.
"""

import sys

from odllm_agent.builds import builds


def main() -> int:
    """Tries the engines and tells what does not work."""
    sys.stderr.write("trying the engines on this processor; some seconds, once\n")
    here = builds()
    for error in here.absent.values():
        sys.stderr.write(f"{error}\n")
    for name, found in here.present.items():
        for fault in found.build.faults:
            sys.stderr.write(f"{name}: {fault.type}, {fault.path} path: {fault.told}\n")
        if found.build.untested:
            sys.stderr.write(f"{name}: {found.build.untested}\n")
    engine = here.present.get("llama_cpp")
    return 1 if engine is None or engine.build.faults or engine.build.untested else 0


if __name__ == "__main__":
    sys.exit(main())
