"""The base of every value that flows: frozen, strict, with a content id."""

import hashlib
import json
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Frozen(BaseModel):
    """An immutable value. NaN and infinity are refused: what is missing is None on purpose."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def content_id(self, length: int = 12) -> str:
        """Hex digest of the canonical JSON: equal values have equal ids on every machine."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:length]

    def replace(self, **changes: object) -> Self:
        """A validated copy with some fields changed (model_copy does not validate)."""
        data = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(data | changes)


class Sparse(Frozen):
    """Fields that came later are written only where they are set: older values keep their ids."""

    _later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = type(self).model_fields
        written: dict[str, object] = write(self)
        return {
            name: value
            for name, value in written.items()
            if name not in self._later or getattr(self, name) != fields[name].default
        }


class Interval(Frozen):
    """A closed interval of plausible values, e.g. a predicted speed-up of 1.1 to 1.4."""

    low: float
    high: float

    def model_post_init(self, _context: object) -> None:
        if self.low > self.high:
            raise ValueError(f"interval upside down: {self.low} > {self.high}")

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def middle(self) -> float:
        """Geometric mean for positive bounds (ratios), arithmetic mean otherwise."""
        if self.low > 0:
            return float((self.low * self.high) ** 0.5)
        return (self.low + self.high) / 2


class Estimate(Frozen):
    """A measured value with its 95 % confidence interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int

    def overlaps(self, other: "Estimate") -> bool:
        return self.low <= other.high and other.low <= self.high
