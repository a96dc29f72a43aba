"""A small model for easy requests, a large one for the rest: what it saves, what it costs."""

from pydantic import Field

from knowledge.errors import BadInput
from knowledge.types import Frozen


class Routing(Frozen):
    """Costs relative to sending everything to the large model."""

    cost_usd: float
    """Per million output tokens, the router included."""
    all_large_usd: float
    saving_share: float
    bad_answers_share: float
    """Hard requests that the small model answered and nobody noticed."""
    to_small_share: float
    break_even_easy_share: float | None = Field(ge=0, le=1)
    """Fewer easy requests than this, and routing costs more; None: it never pays."""


def route(
    small_usd: float,
    large_usd: float,
    *,
    easy_share: float,
    error_rate: float,
    retry_share: float = 0.0,
    router_usd: float = 0.0,
) -> Routing:
    """Costs per million output tokens. Raises BadInput.

    `error_rate`: how often the router is wrong, either way. `retry_share`: of the hard requests
    that the small model got, how many are noticed and asked again of the large one.
    """
    for name, share in (("доля простых запросов", easy_share), ("доля ошибок", error_rate),
                        ("доля повторов", retry_share)):  # fmt: skip
        if not 0 <= share <= 1:
            raise BadInput(f"{name}: {share} не подходит", "Нужно число от 0 до 1")
    if not small_usd > 0 or not large_usd > 0:
        raise BadInput("цены моделей должны быть больше нуля", "Дайте USD за 1M токенов")
    if small_usd >= large_usd:
        raise BadInput(
            f"малая модель стоит {small_usd}, большая {large_usd}: маршрутизация не сэкономит",
            "Проверьте, не переставлены ли цены",
        )

    def cost(easy: float) -> float:
        slipped = (1 - easy) * error_rate
        small = easy * (1 - error_rate) + slipped
        return router_usd + small * small_usd + (1 - small + slipped * retry_share) * large_usd

    none, every = cost(0.0), cost(1.0)
    least = None if every >= large_usd else max(0.0, (none - large_usd) / (none - every))
    slipped = (1 - easy_share) * error_rate
    return Routing(
        cost_usd=cost(easy_share),
        all_large_usd=large_usd,
        saving_share=1 - cost(easy_share) / large_usd,
        bad_answers_share=slipped * (1 - retry_share),
        to_small_share=easy_share * (1 - error_rate) + slipped,
        break_even_easy_share=least,
    )
