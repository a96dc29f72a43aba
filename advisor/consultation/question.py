"""One question with everything that was understood of it."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from advisor.consultation.types import Services
from advisor.consultation.understanding.frame import Frame
from advisor.consultation.understanding.reading import outline
from knowledge.devices import CatalogDevice
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
        from advisor.consultation.setting import placed

        return [placed(stem, self.frame.gpu_memory_gb) for stem in self.frame.gpus]

    @property
    def models(self) -> list[Architecture]:
        known = known_architectures()
        return [known[stem] for stem in self.frame.models]

    @property
    def outline(self) -> str:
        """The wording without its names and numbers, to be compared with examples."""
        return outline(self.raw)

    @property
    def topic(self) -> str:
        """The wording without names of models and devices, whose words would name a page."""
        plain = outline(self.raw, numbers=False)
        return re.sub(r"(?<![а-я])(модель|карта|имя)(?![а-я])", " ", plain).strip()

    @cached_property
    def near(self) -> dict[str, float]:
        """How like the examples of each kind of answer and of each page the wording is."""
        from advisor.consultation.answers import examples

        return examples().near(self.outline)

    @property
    def has_two_models(self) -> bool:
        return len(self.frame.models) >= 2

    @property
    def has_model(self) -> bool:
        return bool(self.frame.models or self.frame.parameters)
