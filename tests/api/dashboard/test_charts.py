"""What the pictures must not invent."""

import pytest

from api.dashboard.charts import series
from api.dashboard.language import LANGUAGES


@pytest.mark.parametrize(
    ("times", "lines"),
    [
        ((0, 0.5, 1, 1.5, 2), 1),
        ((0, 0.5, 1, 30, 30.5, 31, 60, 60.5), 3),
        ((0,), 1),
    ],
)
def test_a_line_breaks_where_nobody_sampled(times: tuple[float, ...], lines: int) -> None:
    run = series.Run(tuple((time, 1.0) for time in times))
    drawn = series.draw([run], "CPU", "", LANGUAGES["ru"])
    assert drawn.count('class="curve"') == 2 * lines  # wide and narrow
