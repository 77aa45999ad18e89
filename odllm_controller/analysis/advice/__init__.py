"""What to run, within which limits, and why."""
