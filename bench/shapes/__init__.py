"""Shapes of models: config.json without weights, for what depends on the shape alone."""
