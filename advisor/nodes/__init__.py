"""One file per step of the graph. A node is async (state, runtime) -> update."""
