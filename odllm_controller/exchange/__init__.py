"""Figures on their way between stores and tools: what files hold, and how it is checked."""
