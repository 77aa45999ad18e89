"""Importance matrices: which weights of a model matter most, for types of few bits."""
