"""Blind side-by-side evaluation: making the pairs, handing them out, counting the votes."""
