"""The processor's own energy counters."""
