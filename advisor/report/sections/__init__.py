"""One file, one section of the report."""
