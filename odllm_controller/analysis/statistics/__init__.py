"""Lines, ratios, samples and their intervals."""
