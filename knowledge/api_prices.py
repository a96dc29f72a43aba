"""What hosted APIs charge per 1M tokens: knowledge/defaults/api-prices.yaml."""

import re
from functools import lru_cache
from pathlib import Path

from knowledge.files import read_folder
from knowledge.provenance import Provenance
from knowledge.types import Frozen

_FOLDER = Path(__file__).parent / "defaults"


class ApiPrice(Frozen):
    """One hosted model, in USD per 1M tokens."""

    title: str
    input: float
    output: float

    def mixed(self, input_tokens: float, output_tokens: float) -> float:
        """Per 1M tokens of input and output together."""
        whole = input_tokens + output_tokens
        return (self.input * input_tokens + self.output * output_tokens) / whole


class ApiPrices(Frozen):
    """All known prices and where they come from."""

    models: dict[str, ApiPrice]
    provenance: tuple[Provenance, ...]


@lru_cache(maxsize=1)
def api_prices() -> ApiPrices:
    """The table, with its source."""
    return ApiPrices.model_validate(read_folder(_FOLDER)["api-prices"])


def api_price_in(text: str) -> ApiPrice | None:
    """The hosted model that a text names, the most specific: «gpt-4o-mini», «gpt 4o mini»."""
    plain = re.sub(r"[\s_-]+", "-", text.lower())
    names = sorted(api_prices().models, key=len, reverse=True)
    found = next((name for name in names if re.search(rf"{re.escape(name)}(?![\w.])", plain)), None)
    return api_prices().models[found] if found else None
