"""The simulated server: a process of its own with a cost model, and faults on demand."""
