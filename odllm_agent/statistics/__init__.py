"""Intervals of what was measured."""
