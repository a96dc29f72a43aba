import pytest

from knowledge.api_prices import api_price_in, api_prices


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("openai gpt-4o-mini против своей 8b", "OpenAI GPT-4o mini"),
        ("дешевле ли gpt 4o", "OpenAI GPT-4o"),
        ("GPT-5?", "OpenAI GPT-5"),
        ("gpt-oss-20b", None),
        ("llama 8b", None),
    ],
)
def test_the_most_specific_model_is_found(text, title):
    found = api_price_in(text)
    assert (found.title if found else None) == title


def test_a_mix_lies_between_input_and_output():
    price = api_price_in("gpt-4o-mini")
    assert price.mixed(1000, 0) == price.input
    assert price.mixed(800, 200) == pytest.approx(0.8 * 0.15 + 0.2 * 0.60)


def test_every_price_has_a_source():
    assert api_prices().provenance
    assert all(0 < one.input <= one.output for one in api_prices().models.values())
