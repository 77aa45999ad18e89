"""Which trials are of the same thing, and which may be pooled, compared or drawn together."""
