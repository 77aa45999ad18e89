"""A trial from its order to its result, in a process of its own."""
