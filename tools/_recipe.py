"""Options of a recipe: declared once, checked before anything is installed."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from knowledge.errors import BadInput
from knowledge.types import Artifact, FlagValue, ModelSpec


@dataclass(frozen=True)
class Option:
    """One option of a quantizer or compressor."""

    kind: Literal["int", "float", "bool", "str"]
    default: FlagValue | None
    """None: the job decides, or there is none."""
    help: str
    """Russian, a few words."""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, name: str, value: FlagValue) -> None:
        """Raises BadInput saying what would do."""
        if self.choices:
            if value not in self.choices:
                raise BadInput(f"{name}={value} не подходит", f"Есть: {', '.join(self.choices)}")
        elif not self._is_of_kind(value) or not self._in_range(value):
            raise BadInput(f"{name}={value} не подходит", self._wanted())

    def _is_of_kind(self, value: FlagValue) -> bool:
        if self.kind == "bool" or isinstance(value, bool):
            return self.kind == "bool" and isinstance(value, bool)
        if self.kind == "str":
            return isinstance(value, str)
        return isinstance(value, int) or (self.kind == "float" and isinstance(value, float))

    def _in_range(self, value: FlagValue) -> bool:
        if isinstance(value, str):
            return True
        low = self.least is None or value >= self.least
        return low and (self.most is None or value <= self.most)

    def _wanted(self) -> str:
        kind = {"int": "целое число", "float": "число", "bool": "true или false", "str": "строка"}
        low = f" не меньше {self.least:g}" if self.least is not None else ""
        high = f" и не больше {self.most:g}" if self.most is not None else ""
        return f"Нужно {kind[self.kind]}{low}{high}"


CALIBRATION: dict[str, Option] = {
    "samples": Option("int", 64, "сколько отрывков калибровочного текста", least=1),
    "tokens": Option("int", 512, "токенов в отрывке", least=16),
    "calibration": Option("str", None, "SHA-256 сохранённого текста пользователя"),
}
"""What everything that looks at text accepts."""


def check(
    artifact: Artifact,
    model: ModelSpec,
    maker: str,
    schemes: Sequence[str],
    options: Mapping[str, Option],
) -> None:
    """A scheme and options that exist, and a model that is not quantized. Raises BadInput."""
    if artifact.scheme not in schemes:
        raise BadInput(f"{maker} не умеет схему {artifact.scheme!r}", f"Есть: {', '.join(schemes)}")
    if model.facts.quantization is not None:
        raise BadInput(
            f"модель {model.name} уже квантована ({model.facts.quantization})",
            "Дайте исходную модель в bfloat16, float16 или float32",
        )
    if model.dummy_weights:
        raise BadInput(
            f"у модели {model.name} нет весов, одна форма", "Дайте папку с *.safetensors"
        )
    for name, value in artifact.options.items():
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            raise BadInput(
                f"неизвестная настройка {name!r} у {maker}",
                f"Ближайшая: {near[0]}" if near else f"Есть: {', '.join(options)}",
            )
        options[name].check(name, value)


def filled(artifact: Artifact, options: Mapping[str, Option]) -> dict[str, FlagValue | None]:
    """The recipe's options with the defaults of those that it leaves out."""
    return {name: artifact.options.get(name, option.default) for name, option in options.items()}
