"""Serving this device's model cache to the other devices of a fleet, read-only, over HTTP."""
