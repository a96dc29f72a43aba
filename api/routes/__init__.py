"""One file adds one router: `router`, found by the file's name."""
