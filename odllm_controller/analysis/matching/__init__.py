"""Which trials are of the same thing."""
