"""The agent's commands, each in a module of its own, and the exit statuses that they share."""

# The last is what shells give for Ctrl-C.
DONE, FAULT, WRONG_USAGE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
