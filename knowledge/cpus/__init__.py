"""Processors, one YAML file each; knowledge.devices loads them."""
