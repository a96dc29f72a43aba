"""Technique cards, one YAML file each; knowledge.cards loads them."""
