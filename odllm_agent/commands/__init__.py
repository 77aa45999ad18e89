"""The agent's commands, each in a module of its own, and the exit statuses that they share."""

DONE, FAULT, WRONG_USAGE, SOME_FAILED = 0, 1, 2, 3

NAMES = (
    "describe",
    "run",
    "models",
    "doctor",
    "power-log",
    "join",
    "install-service",
    "serve",
)
"""What may follow `odllm-agent`."""
