"""Devices that are none: laptops of a seeded fleet, and agents that answer for them.

They are for tests of a fleet's load. An agent answers what a real one does, at once and without a
worker process. Nothing is written for a model: its file is described by the quantizer's dry run,
and its checksum is one of what was asked for. Whatever only a real device has is `unavailable`.
"""
