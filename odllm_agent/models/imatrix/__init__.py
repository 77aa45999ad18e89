"""Importance matrices: which weights of a model matter most, for types of few bits."""

TEXT = "text:"
"""Before the name or path of a text to make a matrix from."""
