import pytest

from knowledge.measure import machine_changed, slower_than


def test_a_steady_machine_is_not_worth_a_word():
    assert machine_changed([]) == ""
    assert machine_changed([100]) == ""
    assert machine_changed([100, 97, 91, 103]) == ""


def test_a_machine_that_slows_down_is_told_with_the_rounds():
    said = machine_changed([100, 98, 70, 99, 60])
    assert "40%" in said
    assert "перед раундами: 3" in said
    assert "после последнего" in said


def test_two_trials_on_one_machine_and_on_a_slower_one():
    assert slower_than([100, 101], [98, 95, 97]) is None
    assert slower_than([], [98]) is None
    assert slower_than([70, 75, 72], [98, 95, 97]) == pytest.approx(1 - 72 / 97)
    assert slower_than([150], [100]) == pytest.approx(-0.5)
