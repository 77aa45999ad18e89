"""Processes of our own: a child that does some work, and those that an earlier start has left."""
