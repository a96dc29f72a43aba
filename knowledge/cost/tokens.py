"""Cost of a million tokens: the price of an hour over the tokens of an hour."""

from pydantic import Field

from knowledge.errors import BadInput
from knowledge.prediction.types import Figure
from knowledge.types import Frozen


class TokenCost(Frozen):
    """USD per million tokens, each with the interval of the throughput."""

    usd_per_hour: float
    """Of all devices together."""
    output_usd: Figure
    """The whole bill over output tokens: DESIGN's definition, comparable between servers."""
    input_part_usd: Figure
    """Per million input tokens, when the bill is split by the time that prefill takes."""
    output_part_usd: Figure
    """Per million output tokens, when the bill is split by the time that decode takes."""
    blended_usd: Figure
    """The bill over all tokens, in and out."""
    prefill_share: float = Field(ge=0, le=1)
    load_share: float = Field(gt=0, le=1)
    """Which part of the paid hours the server is loaded as predicted."""


def token_cost(
    usd_per_device_hour: float,
    devices: int,
    output_tokens_per_s: Figure,
    *,
    input_tokens: float,
    output_tokens: float,
    prefill_share: float,
    load_share: float = 1.0,
) -> TokenCost:
    """Costs at a throughput. Lengths are of one request. Raises BadInput."""
    if output_tokens_per_s.low <= 0:
        raise BadInput("throughput должен быть больше нуля", "Дайте токенов в секунду")
    if not 0 < load_share <= 1:
        raise BadInput(f"доля загрузки {load_share} не подходит", "Нужно число от 0 до 1")
    bill = usd_per_device_hour * devices
    whole = _over(bill / load_share, output_tokens_per_s)
    per_input = output_tokens / max(input_tokens, 1e-9)
    return TokenCost(
        usd_per_hour=bill,
        output_usd=whole,
        input_part_usd=whole.scaled(prefill_share * per_input),
        output_part_usd=whole.scaled(1 - prefill_share),
        blended_usd=whole.scaled(output_tokens / (input_tokens + output_tokens)),
        prefill_share=prefill_share,
        load_share=load_share,
    )


def _over(bill: float, speed: Figure) -> Figure:
    """More tokens, less cost: the bounds change places."""
    million = bill / 3600 * 1e6
    return Figure(value=million / speed.value, low=million / speed.high, high=million / speed.low)
