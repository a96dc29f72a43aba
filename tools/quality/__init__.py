"""Did quality hold, and was the measurement honest."""
