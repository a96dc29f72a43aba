"""A LoRA adapter merged into the weights."""

from pathlib import Path

from knowledge.errors import BadInput
from knowledge.types import Artifact, ModelSpec
from tools._recipe import Option
from tools.compressors.base import Compressor
from tools.quantizers.base import Quantizer

_OWN = {"adapter": Option("str", None, "папка адаптера PEFT (adapter_config.json)")}


class Lora(Compressor):
    """Needs an adapter."""

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        super().validate(artifact, model)
        adapter = artifact.options.get("adapter")
        if adapter is not None and not (Path(str(adapter)) / "adapter_config.json").is_file():
            raise BadInput(f"{adapter} — не папка адаптера", "В ней нет adapter_config.json")


COMPRESSOR: Quantizer = Lora(name="lora", options=_OWN)
