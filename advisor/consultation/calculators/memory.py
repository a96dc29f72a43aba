"""What fits where: weights, KV cache, how many at once, how many devices."""

from dataclasses import dataclass

from advisor.consultation.setting import DTYPES, Setting
from knowledge import memory
from knowledge.prediction.model import memory_of

_COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""As hosts and head counts go; an odd number of cards only splits the layers."""


@dataclass(frozen=True)
class Room:
    """Memory of a setting over all its devices."""

    weights_bytes: float
    kv_per_token: float
    kv_per_sequence: float
    kv_copies: float
    """How often each K and V is kept: above 1 where TP is wider than the KV heads, or with MLA."""
    overhead_bytes: float
    """Activations and the engine itself, over all devices."""
    usable_bytes: float
    """What the engine may take of all devices' memory."""
    kv_budget: float
    most: int
    """Requests of the asked length whose KV cache fits at once."""

    @property
    def loads(self) -> bool:
        """The weights and one request fit."""
        return self.most >= 1

    @property
    def kv_held(self) -> float:
        """Bytes that one request takes over all devices."""
        return self.kv_per_sequence * self.kv_copies

    def needed(self, concurrency: int) -> float:
        """Bytes for the weights, the engine and so many requests."""
        return self.weights_bytes + self.overhead_bytes + concurrency * self.kv_held

    def holds(self, concurrency: int) -> bool:
        """Whether so many requests fit at once."""
        return self.most >= concurrency


def weights_bytes(setting: Setting) -> float:
    """Bytes of one copy of the weights in the setting's format, with the scales of 4 bits."""
    return float(memory.served_weights_bytes(setting.facts, DTYPES[setting.weights]))


def kv_dtype(setting: Setting) -> str:
    """The cache's format as the formulas name it."""
    return "fp8" if setting.kv in ("fp8", "int8") else "bfloat16"


def kv_per_token(setting: Setting) -> float:
    """Bytes that one token adds over all layers."""
    return float(memory.kv_bytes_per_token(setting.facts, kv_dtype(setting)))


def kv_per_sequence(setting: Setting) -> float:
    """Bytes of one request at the setting's context; windowed layers hold their window only."""
    facts, context = setting.facts, setting.context_tokens
    return float(memory.kv_bytes_per_sequence(facts, kv_dtype(setting), context))


def room(setting: Setting) -> Room:
    """Memory of a setting with a device."""
    assert setting.gpu is not None
    one = memory_of(
        setting.change(input_tokens=max(1, setting.context_tokens - setting.output_tokens)).query
    )
    layout = setting.layout
    weights, per_sequence = weights_bytes(setting) * layout.dp, kv_per_sequence(setting)
    usable = setting.gpu.device.memory_bytes * setting.utilization * layout.devices
    budget = float(one.kv_budget_bytes * layout.devices)
    engine = (one.activations_bytes + one.outside_bytes) * layout.devices
    return Room(
        weights_bytes=weights,
        kv_per_token=kv_per_token(setting),
        kv_per_sequence=per_sequence,
        kv_copies=one.kv_bytes_per_sequence * layout.tp * layout.pp / max(1.0, per_sequence),
        overhead_bytes=max(0.0, usable - weights - budget) if budget else engine,
        usable_bytes=usable,
        kv_budget=budget,
        most=one.max_concurrency * layout.dp,
    )


def fewest(setting: Setting, concurrency: int = 1) -> tuple[int, Room] | None:
    """The fewest devices of one kind that hold so many requests, in counts that split the heads."""
    assert setting.gpu is not None
    for count in _COUNTS:
        tried = setting.change(count=count, tp=None, pp=None)
        if count > 1 and not _splits(tried):
            continue
        found = room(tried)
        if found.holds(concurrency):
            return count, found
    return None


def _splits(setting: Setting) -> bool:
    return setting.layout.dp == 1 and setting.layout.devices == setting.count
