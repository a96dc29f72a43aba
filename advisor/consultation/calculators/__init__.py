"""Arithmetic that the answers and the LLM share: memory, speed, choice of devices, money."""
