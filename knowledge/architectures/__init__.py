"""Well-known models, one YAML file each; knowledge.known_models loads them."""
