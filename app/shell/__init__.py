"""The explorer round its pages: starting, loading, filtering."""
