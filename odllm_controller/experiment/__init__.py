"""The experiment that a config describes, checked."""
