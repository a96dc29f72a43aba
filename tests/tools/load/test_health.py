import time

import pytest

from tools.load.clock import Pacer
from tools.load.health import ClientHealth, processes_for, together

GOOD = ClientHealth(kernel_stamped=1.0, cpu_share=0.3, asked=100, taken_up=100)


def test_a_client_that_kept_up_is_valid() -> None:
    assert GOOD.valid
    assert "ядра" in GOOD.clock


@pytest.mark.parametrize(
    ("sign", "word"),
    [
        ({"send_late_p99_ms": 9.0}, "отправкой"),
        ({"loop_lag_p99_ms": 80.0}, "отставал"),
        ({"cpu_share": 0.97}, "занято"),
        ({"taken_up": 90}, "90 из 100"),
        ({"idle_share": 0.2}, "простаивали"),
    ],
)
def test_each_sign_of_a_slow_client_makes_the_round_invalid(
    sign: dict[str, float], word: str
) -> None:
    health = ClientHealth(**{**vars(GOOD), **sign})
    assert not health.valid
    assert word in health.problems[0]


def test_without_stamps_of_the_kernel_a_late_loop_weighs_more() -> None:
    assert ClientHealth(kernel_stamped=1.0, loop_lag_p99_ms=20).valid
    late = ClientHealth(kernel_stamped=0.0, loop_lag_p99_ms=20)
    assert not late.valid
    assert "часы процесса" in late.clock


def test_a_fleet_is_as_good_as_its_worst_and_counts_all() -> None:
    both = together([GOOD, ClientHealth(kernel_stamped=0.5, cpu_share=0.9, asked=50, taken_up=40)])
    assert (both.asked, both.taken_up, both.processes) == (150, 140, 2)
    assert (both.kernel_stamped, both.cpu_share) == (0.5, 0.9)


def test_a_full_core_asks_for_a_second_process_where_there_are_cores() -> None:
    full = ClientHealth(cpu_share=0.9)
    assert processes_for(full, most=8) == 2
    assert processes_for(full, most=1) == 1
    assert processes_for(GOOD, most=8) == 1


async def test_the_pacer_never_wakes_before_its_deadline() -> None:
    pacer = Pacer()
    try:
        for ahead in (0.0, 0.0007, 0.004, 0.03):
            deadline = time.perf_counter() + ahead
            await pacer.until(deadline)
            assert time.perf_counter() >= deadline - 1e-6
        await pacer.until(time.perf_counter() - 1)
    finally:
        pacer.close()
