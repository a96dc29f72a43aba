"""Defaults where the user says nothing; knowledge.objectives loads them."""
