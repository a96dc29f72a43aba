"""Win rate and agreement, against numbers on paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics import krippendorff_alpha, raw_agreement, win_rate

LABELS = st.lists(st.lists(st.sampled_from("abt"), max_size=5), max_size=30)


def test_alpha_of_krippendorffs_own_example() -> None:
    """Krippendorff (2011), section C: four observers, twelve units, nominal: 0.743."""
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = [[row[i] for row in observers if row[i] != "."] for i in range(12)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=0.0005)


def test_alpha_at_its_marks() -> None:
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1
    assert krippendorff_alpha([["a", "b"], ["b", "a"]]) == pytest.approx(-0.5)
    assert krippendorff_alpha([["a"], ["b"]]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([]) is None


@given(LABELS)
def test_alpha_never_exceeds_one_and_full_agreement_reaches_it(units: list[list[str]]) -> None:
    alpha = krippendorff_alpha(units)
    agreement = raw_agreement(units)
    if alpha is not None:
        assert alpha <= 1 + 1e-12
        assert agreement is not None
        assert (alpha == pytest.approx(1)) == (agreement == 1)


def test_win_rate_counts_pairs_not_votes() -> None:
    once = win_rate({"p1": [1.0], "p2": [0.0], "p3": [0.5]})
    often = win_rate({"p1": [1.0] * 9, "p2": [0.0] * 9, "p3": [0.5] * 9})
    assert once == often
    assert once is not None
    assert (once.value, once.n) == (0.5, 3)
    assert win_rate({}) is None
    all_won = win_rate({f"p{n}": [1.0] for n in range(10)})
    assert all_won is not None
    assert 0.6 < all_won.low < 0.8, "ten of ten is no certainty"
