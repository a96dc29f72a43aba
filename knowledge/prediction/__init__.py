"""What a deployment would do, before it is started: figures with 90 % intervals."""

from knowledge.prediction.model import predict
from knowledge.prediction.types import (
    Figure,
    Layout,
    Load,
    Neighbour,
    Observation,
    Prediction,
    Provenance,
    Query,
)

__all__ = [
    "Figure",
    "Layout",
    "Load",
    "Neighbour",
    "Observation",
    "Prediction",
    "Provenance",
    "Query",
    "predict",
]
