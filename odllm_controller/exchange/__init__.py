"""Figures on their way between stores and tools: what they are in files, and how they are checked."""
