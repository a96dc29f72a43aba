"""Understanding: one text to a frame of names and numbers."""
