"""Addresses, ports, keys, and the surroundings that Ray is started in."""
