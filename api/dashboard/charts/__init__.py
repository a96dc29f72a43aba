"""One picture per file: a function from figures to a Drawing of a given width."""
