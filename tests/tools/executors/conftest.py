"""A Ray for the executors' tests, where it is installed."""

from tests.ray_cluster import ray

__all__ = ["ray"]
