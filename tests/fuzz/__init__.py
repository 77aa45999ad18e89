"""Mutated GGUF files, and everything of the agent that reads such files."""
