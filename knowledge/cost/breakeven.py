"""From how many requests on an own server is cheaper than an API."""

from knowledge.errors import BadInput
from knowledge.prediction.types import Figure
from knowledge.types import Frozen

_HOURS_A_MONTH = 730


class BreakEven(Frozen):
    """An own server, paid by the hour whether it works or not, against a price per token."""

    api_usd_per_request: float
    requests_per_hour: float
    """Above it the own server is cheaper."""
    million_tokens_per_month: float
    """In and out together, at that rate."""
    load_share: Figure
    """That rate over what one server can do; above 1 it is never reached."""
    reachable: bool | None
    """None: it depends on which end of the interval holds."""
    own_usd_per_month: float


def break_even(
    usd_per_hour: float,
    *,
    api_input_usd: float,
    api_output_usd: float,
    input_tokens: float,
    output_tokens: float,
    output_tokens_per_s: Figure,
) -> BreakEven:
    """API prices in USD per million tokens, lengths of one request. Raises BadInput."""
    if min(api_input_usd, api_output_usd) < 0 or api_input_usd + api_output_usd == 0:
        raise BadInput("цена API должна быть больше нуля", "Например, --api-price 0.15/0.60")
    request = (input_tokens * api_input_usd + output_tokens * api_output_usd) / 1e6
    rate = usd_per_hour / request
    most = [x * 3600 / output_tokens for x in (output_tokens_per_s.value,
            output_tokens_per_s.low, output_tokens_per_s.high)]  # fmt: skip
    share = Figure(value=rate / most[0], low=rate / most[2], high=rate / most[1])
    certain = True if share.high <= 1 else False if share.low > 1 else None
    return BreakEven(
        api_usd_per_request=request,
        requests_per_hour=rate,
        million_tokens_per_month=rate * _HOURS_A_MONTH * (input_tokens + output_tokens) / 1e6,
        load_share=share,
        reachable=certain,
        own_usd_per_month=usd_per_hour * _HOURS_A_MONTH,
    )
