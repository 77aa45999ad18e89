"""What an engine says of itself: `python -m odllm_agent.builds.inspection ENGINE`.

A library that was compiled for another processor may end its process as it is loaded.
"""

import os
import sys

from odllm_agent import engines
from odllm_agent.builds.lines import EngineReport, say
from odllm_agent.contract import Failure
from odllm_agent.errors import EngineError
from odllm_agent.processes.child import end_with_parent


def main(engine: str) -> None:
    """Says what the engine tells, or why it cannot be used."""
    end_with_parent()
    try:
        say(EngineReport(*engines.told(engine)))
    except EngineError as error:
        say(Failure.of(error))


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)
