"""A served endpoint over time: its own metrics, the machine's, and our canary requests."""
