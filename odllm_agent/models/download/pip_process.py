"""pip, in a process that ends with its parent: `python -m ...pip_process ARGUMENTS`."""

import runpy

from odllm_agent.processes.child import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
