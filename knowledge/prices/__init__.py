"""Prices, one YAML file per provider; knowledge.gpu_prices loads them."""
