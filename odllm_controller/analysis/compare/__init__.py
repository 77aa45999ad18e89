"""Devices and settings against each other."""
