"""Accelerators, one YAML file each; knowledge.devices loads them."""
