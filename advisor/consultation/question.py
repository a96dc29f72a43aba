"""One question with everything that was understood of it."""

from dataclasses import dataclass, field
from typing import Literal

from advisor.consultation.types import Services
from advisor.consultation.understanding.frame import Frame
from knowledge.devices import CatalogDevice, require_gpu
from knowledge.known_models import Architecture, known_architectures
from knowledge.patterns import compiled


@dataclass(frozen=True)
class Question:
    """The last message, the frame of the conversation and where the answer may look."""

    raw: str
    text: str
    """Normalized: lower case, digits for number words."""
    frame: Frame
    own: Frame
    """What this message alone says."""
    services: Services
    language: Literal["ru", "en"] = "ru"
    inherited: tuple[str, ...] = ()
    previous: str | None = None
    """The intent of the question before, for follow-ups."""
    follow_up: bool = False
    history: tuple[str, ...] = field(default=())

    def has(self, pattern: str) -> bool:
        return compiled(pattern).search(self.text) is not None

    @property
    def gpus(self) -> list[CatalogDevice]:
        return [require_gpu(stem) for stem in self.frame.gpus]

    @property
    def models(self) -> list[Architecture]:
        known = known_architectures()
        return [known[stem] for stem in self.frame.models]

    @property
    def has_model(self) -> bool:
        return bool(self.frame.models or self.frame.parameters)
