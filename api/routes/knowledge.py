"""The technique cards."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Reader
from api.schemas import Page
from knowledge.cards import TechniqueCard, load_cards

router = APIRouter(prefix="/v1", tags=["knowledge"])


class CardPage(Page):
    """Cards by name."""

    data: list[TechniqueCard]


@router.get("/knowledge", operation_id="listTechniques", summary="Карточки техник")
def knowledge(
    who: Reader,
    topic: Annotated[
        str | None, Query(max_length=64, description="Например, quantization.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
    after: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z0-9-]*$")] = None,
) -> CardPage:
    """Что известно: условия, ожидаемый эффект, риск, источники."""
    cards = [c for c in load_cards() if topic is None or topic in c.topics]
    found = [card for card in cards if not after or card.name > after]
    page = found[:limit]
    return CardPage(data=page, next=page[-1].name if len(found) > limit else None)
