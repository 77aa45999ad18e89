"""Mutated GGUF files and spoilt sensors, and everything of the agent that reads such files."""
