"""What each engine supports, one YAML file each; knowledge.support loads them."""
