"""What can be served: an engine with flags and environment, over a checkpoint or its artifact."""

from knowledge.types.base import Frozen, Sparse

FlagValue = str | int | float | bool


class Change(Sparse):
    """What a hypothesis alters. None removes a flag and so returns to the engine's default."""

    _later = frozenset({"engine"})

    engine: str | None = None
    """Moves to this engine; flags, variables and artifact of another one mean nothing there."""
    flags: dict[str, FlagValue | None] = {}
    env: dict[str, str | None] = {}
    artifact: "Artifact | None" = None


class Artifact(Frozen):
    """A derived checkpoint: the recipe that makes it; the cache key is its content id."""

    quantizer: str
    scheme: str
    options: dict[str, FlagValue] = {}

    def __hash__(self) -> int:
        return hash((self.quantizer, self.scheme, frozenset(self.options.items())))


class EngineConfig(Frozen):
    """How an engine is started. Flags by their long name without dashes: {"max-num-seqs": 64}."""

    engine: str
    flags: dict[str, FlagValue] = {}
    env: dict[str, str] = {}

    def __hash__(self) -> int:
        return hash((self.engine, frozenset(self.flags.items()), frozenset(self.env.items())))

    def apply(self, change: Change) -> "EngineConfig":
        base = self
        if change.engine is not None and change.engine != self.engine:
            base = EngineConfig(engine=change.engine)
        flags = {k: v for k, v in (base.flags | change.flags).items() if v is not None}
        env = {k: v for k, v in (base.env | change.env).items() if v is not None}
        return EngineConfig(engine=base.engine, flags=flags, env=env)


class Candidate(Frozen):
    """A configuration that could be handed in."""

    config: EngineConfig
    artifact: Artifact | None = None

    def apply(self, change: Change) -> "Candidate":
        config = self.config.apply(change)
        kept = self.artifact if config.engine == self.config.engine else None
        return Candidate(config=config, artifact=change.artifact or kept)
