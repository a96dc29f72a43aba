"""What every quantizer and compressor must be, whatever its library."""

import pytest

from knowledge.errors import BadInput
from knowledge.support import find_engine
from knowledge.types import Artifact, Hardware, ModelSpec
from tools import compressors, quantizers
from tools.makers import load, names


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

    def test_refuses_an_option_that_it_does_not_have(self, name: str, model: ModelSpec) -> None:
        recipe = Artifact(quantizer=name, scheme=load(name).schemes[0], options={"speed": 11})
        with pytest.raises(BadInput, match="speed"):
            load(name).validate(recipe, model)

    def test_its_own_defaults_are_options_it_takes(self, name: str, model: ModelSpec) -> None:
        quantizer = load(name)
        for option, spec in quantizer.options.items():
            assert spec.help
            if spec.default is not None:
                spec.check(option, spec.default)

    def test_says_who_serves_it_and_the_matrix_knows_the_format(self, name: str) -> None:
        for scheme in load(name).schemes:
            for server in load(name).served_by(Artifact(quantizer=name, scheme=scheme)):
                record = find_engine(server.engine).found
                assert record is not None
                assert server.scheme in {known.name for known in record.schemes}

    def test_needs_more_memory_for_a_larger_model(self, name: str, model: ModelSpec) -> None:
        recipe = Artifact(quantizer=name, scheme=load(name).schemes[0])
        facts = model.facts.replace(parameters=10**9)
        large = model.replace(weights_bytes=2 * 10**9, facts=facts)
        small = load(name).memory_needed_bytes(recipe, model)
        assert load(name).memory_needed_bytes(recipe, large) >= small + 2 * 10**9

    def test_looks_at_text_only_where_it_takes_samples(self, name: str) -> None:
        recipe = Artifact(quantizer=name, scheme=load(name).schemes[0])
        assert not load(name).calibrated(recipe) or "samples" in load(name).options


def test_no_quantizer_and_compressor_share_a_name() -> None:
    assert len(set(names())) == len(quantizers.names()) + len(compressors.names())


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(BadInput, match="llmcompressor"):
        load("llm-compressor")
