"""A run: what devices are asked, what comes back, how it is recorded."""
