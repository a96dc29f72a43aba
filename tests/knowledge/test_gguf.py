import pytest

from knowledge.gguf import file_bytes, gguf_bits, quant_type


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gguf q4_k_m 70b", "q4_k_m"),
        ("Q8_0", "q8_0"),
        ("в q4", "q4_k_m"),
        ("iq4-xs", "iq4_xs"),
        ("int4", None),
    ],
)
def test_a_quant_type_is_found_in_a_question(text, name):
    assert quant_type(text) == name


@pytest.mark.parametrize(("parameters", "gigabytes"), [(8.03e9, 4.9), (70.55e9, 43.1)])
def test_a_file_is_as_large_as_llama_cpp_says(parameters, gigabytes):
    assert file_bytes(parameters, "q4_k_m") / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_more_bits_are_more_bits():
    bits = gguf_bits().bits
    assert bits["q3_k_m"] < bits["q4_k_m"] < bits["q5_k_m"] < bits["q6_k"] < bits["q8_0"]
