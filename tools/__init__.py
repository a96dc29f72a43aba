"""What touches the world: engines, quantizers, load generator, quality checks, store."""
