"""Distillation into a shallower copy or a given student: answers and hidden states."""

from pathlib import Path

from knowledge.errors import BadInput
from knowledge.types import Artifact, ModelSpec
from tools._recipe import Option
from tools.compressors.base import TEXT, TRAINING, Compressor
from tools.compressors.layers import RATIO
from tools.quantizers.base import Quantizer

_OWN = {
    "student": Option("str", None, "папка модели-ученика; нет: учитель с меньшим числом слоёв"),
    "hidden_weight": Option("float", 0.5, "вес совпадения скрытых состояний", least=0.0),
}


class Distill(Compressor):
    """The student may come from a folder, which has to be there."""

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        super().validate(artifact, model)
        student = artifact.options.get("student")
        if student is not None and not (Path(str(student)) / "config.json").is_file():
            raise BadInput(f"{student} — не папка модели", "Нужны config.json и *.safetensors")


COMPRESSOR: Quantizer = Distill(name="distill", options=RATIO | TEXT | TRAINING | _OWN, trains=True)
