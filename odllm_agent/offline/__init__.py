"""Orders from a file, carried out without a controller."""
