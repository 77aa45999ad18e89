"""From readings of a sensor to joules."""
