"""How good a model file still is."""
