"""How a metric follows the bits per weight."""
