"""How a point of the search space reads."""

from advisor.policy.space import in_title


def test_a_title_says_what_a_candidate_is_and_not_how_it_was_screened() -> None:
    quick = '{"mode": 0, "cudagraph_mode": "FULL"}'
    given = {"tensor-parallel-size": 2}
    tried = {"compilation-config": quick, "quantization": "fp8"}
    assert in_title(tried, {}) == "quantization=fp8"
    assert in_title(tried | given, given) == "quantization=fp8"
    assert in_title(tried | {"tensor-parallel-size": 4}, given).endswith("tensor-parallel-size=4")
    assert in_title({"compilation-config": quick}, {}).startswith("compilation-config=")
    assert (
        in_title({"compilation-config": '{"cudagraph_mode": "NONE"}', "a": 1}, {}).count("=") == 2
    )
    assert in_title({}, {}) == "значения по умолчанию"
