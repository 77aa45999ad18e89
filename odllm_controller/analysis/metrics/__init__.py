"""What is measured: names, units, directions."""
