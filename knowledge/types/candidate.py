"""What can be served: an engine with flags and environment, over a checkpoint or its artifact."""

from knowledge.types.base import Frozen

FlagValue = str | int | float | bool


class Change(Frozen):
    """What a hypothesis alters. None removes a flag and so returns to the engine's default."""

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
        flags = {k: v for k, v in (self.flags | change.flags).items() if v is not None}
        env = {k: v for k, v in (self.env | change.env).items() if v is not None}
        return EngineConfig(engine=self.engine, flags=flags, env=env)


class Candidate(Frozen):
    """A configuration that could be handed in."""

    config: EngineConfig
    artifact: Artifact | None = None

    def apply(self, change: Change) -> "Candidate":
        return Candidate(
            config=self.config.apply(change), artifact=change.artifact or self.artifact
        )
