"""What decides: the graph, policies, prediction, the report writer."""
