"""Prediction with everything that is known here: measurements of others and our own."""

from advisor.prediction.sources import predict

__all__ = ["predict"]
