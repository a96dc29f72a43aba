"""The edges: the command line and the service."""
