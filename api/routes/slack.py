"""Slack's three addresses: events, commands, buttons. Signatures are checked by Bolt.

Nothing of Slack is imported where no token is set.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response

from api.errors import answer
from api.settings import Settings
from knowledge.errors import BadInput

router = APIRouter(prefix="/slack", tags=["slack"], include_in_schema=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The bot lives as long as the service."""
    settings: Settings = app.state.settings
    app.state.slack = None
    if settings.slack_bot_token is None:
        yield
        return
    from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler

    from api.slack.bot import Bot, client_of

    async with AsyncExitStack() as stack:
        client = client_of(app.state.service)
        bot = Bot(app.state.service, client)
        bot.boards.start()
        stack.push_async_callback(bot.boards.close)
        if settings.slack_signing_secret is not None:
            app.state.slack = AsyncSlackRequestHandler(bot.app)
        if settings.slack_app_token is not None:
            from api.slack.socket import connected

            token = settings.slack_app_token.get_secret_value()
            await stack.enter_async_context(connected(bot.app, token))
        yield


def mount(app: FastAPI) -> None:
    """Refuses half a configuration before anything starts. Raises BadInput."""
    settings: Settings = app.state.settings
    ways = (settings.slack_signing_secret, settings.slack_app_token)
    if settings.slack_bot_token is not None and ways == (None, None):
        raise BadInput(
            "для Slack задан только токен бота",
            "Добавьте ADVISOR_SLACK_SIGNING_SECRET (режим HTTP)"
            " или ADVISOR_SLACK_APP_TOKEN (socket mode)",
        )


@router.post("/events")
@router.post("/commands")
@router.post("/interactions")
async def slack(request: Request) -> Response:
    """Answers within 3 s; the work goes on in the background."""
    handler = request.app.state.slack
    if handler is None:
        return answer(404, "Slack в режиме HTTP не настроен", "not_found")
    try:
        found = await handler.handle(request)
    except UnicodeDecodeError:
        return answer(400, "Тело запроса — не UTF-8", "bad_input")
    assert isinstance(found, Response)
    return found
