"""Reckoning with the user's own numbers: what was said, what follows from it, what was asked."""
