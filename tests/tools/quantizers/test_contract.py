"""What every quantizer of the folder must be, whatever its library."""

import pytest

from knowledge.errors import BadInput
from knowledge.types import Artifact, Hardware, ModelSpec
from tools.quantizers import load, names


@pytest.mark.parametrize("name", names())
class TestContract:
    def test_is_found_by_its_file_name(self, name: str) -> None:
        quantizer = load(name)
        assert quantizer.name == name
        assert quantizer.schemes

    def test_pins_everything_it_installs(self, name: str, hardware: Hardware) -> None:
        spec = load(name).env_spec(hardware)
        wanted = [arg for step in spec.steps if step.kind == "install" for arg in step.args]
        assert wanted
        assert all("==" in arg for arg in wanted if not arg.startswith("-"))
        assert spec.imports

    def test_takes_its_schemes_and_refuses_others(self, name: str, model: ModelSpec) -> None:
        quantizer = load(name)
        for scheme in quantizer.schemes:
            quantizer.validate(Artifact(quantizer=name, scheme=scheme), model)
        with pytest.raises(BadInput, match="w1a1"):
            quantizer.validate(Artifact(quantizer=name, scheme="w1a1"), model)

    def test_refuses_a_model_that_is_quantized(self, name: str, model: ModelSpec) -> None:
        done = model.replace(facts=model.facts.replace(quantization="awq"))
        quantizer = load(name)
        with pytest.raises(BadInput, match="уже квантована"):
            quantizer.validate(Artifact(quantizer=name, scheme=quantizer.schemes[0]), done)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(BadInput, match="llmcompressor"):
        load("llm-compressor")
