"""The bot: what Slack sends, acknowledged at once and worked on in the background."""

import asyncio
import logging
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from advisor.consultation import Message
from api.chat.answer import answer, plan_text, request_of, status_text
from api.chat.commands import command_of
from api.errors import ApiError
from api.narration import state_words
from api.schemas import SessionRequest
from api.service import Service
from api.service.keys import Principal
from api.slack import words
from api.slack.boards import FAILURES, Boards, told
from api.slack.memory import Memory
from api.slack.mrkdwn import MOST, escape, pieces, to_mrkdwn, to_plain
from api.slack.places import HERE, Place, principal_of, refusal
from knowledge.errors import AdvisorError

_LOG = logging.getLogger("advisor.slack")
_HISTORY = 20
_PREPARE_TRIES = 20


def client_of(service: Service) -> AsyncWebClient:
    """A client of the Web API that waits when Slack says «too often»."""
    token = service.settings.slack_bot_token
    retry = AsyncRateLimitErrorRetryHandler(max_retry_count=3)
    return AsyncWebClient(
        token=token.get_secret_value() if token else None,
        base_url=service.settings.slack_api_url,
        retry_handlers=[retry],
        timeout=30,
    )


class Bot:
    """Listeners over one Service. Every text from Slack is a user's, never an instruction."""

    def __init__(self, service: Service, client: AsyncWebClient) -> None:
        self._service, self._client = service, client
        self._memory = Memory(service.database)
        self.boards = Boards(service, client, self._memory)
        secret = service.settings.slack_signing_secret
        # Socket mode has no signatures: what comes there came over our own connection.
        self.app = AsyncApp(
            client=client,
            signing_secret=secret.get_secret_value() if secret else "",
            request_verification_enabled=secret is not None,
            logger=_LOG,
        )
        self.app.use(self._once)
        self.app.command("/advisor")(self._command)
        self.app.event("app_mention")(self._mention)
        self.app.event("message")(self._message)
        self.app.event("reaction_added")(self._reaction)
        self.app.action("approve")(self._approve)
        self.app.action("decline")(self._decline)

    # Bolt looks at the names of the arguments, and a listener's `ack` is due within 3 s.

    async def _once(self, body: dict[str, Any], next: Any) -> BoltResponse:
        """What was delivered before is acknowledged and nothing more."""
        delivery = body.get("event_id") or body.get("trigger_id")
        if delivery and not await asyncio.to_thread(self._memory.first_time, str(delivery)):
            return BoltResponse(status=200)
        found: BoltResponse = await next()
        return found

    async def _command(self, ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        place = Place(body["channel_id"])
        who = principal_of(self._service.settings, body["user_id"], place.channel)
        verb, _, rest = to_plain(body.get("text", "")).partition(" ")
        try:
            said = await self._obey(verb.lower(), rest.strip(), who, place)
        except AdvisorError as error:
            said = f"Не получилось: {escape(str(error))}"
        for piece in pieces(said):
            await respond(text=piece, response_type="ephemeral")

    async def _obey(self, verb: str, rest: str, who: Principal, place: Place) -> str:
        user = who.key_id.removeprefix("slack:")
        needs = "run" if verb == "optimize" else "read"
        if not who.may(needs):
            return refusal(user, place.channel, needs)
        if verb in ("optimize", "plan"):
            request = _request_of(f"{verb} {rest}")
            if verb == "optimize":
                return await self._start(request, who, place)
            return to_mrkdwn(plan_text(await self._plan(request, who)))
        if verb == "ask" and rest:
            return await self._answer([Message(role="user", content=rest)], who, place)
        return await self._status(rest) if verb == "status" else words.HELP

    async def _status(self, session: str) -> str:
        if session:
            return to_mrkdwn(status_text(await self._service.detail(session), self._service))
        page = await self._service.sessions(10)
        lines = [
            f"• {v.id}: {escape(v.model)}, {v.engine}, {v.workload}, {state_words(v.state)}"
            for v in page.data
        ]
        return "\n".join(lines) or "Сессий ещё не было."

    async def _start(self, request: SessionRequest, who: Principal, place: Place) -> str:
        token = HERE.set(place)
        try:
            view = await self._submitted(request.model_copy(update={"approvals": True}), who)
        finally:
            HERE.reset(token)
        if self._memory.board(view.id) is None:
            return (
                f"Сессия {view.id} в очереди, но писать сюда я не могу: пригласите меня в канал "
                f"(`/invite`). Как она идёт: `/advisor status {view.id}`."
            )
        return f"Сессия {view.id} в очереди."

    async def _submitted(self, request: SessionRequest, who: Principal) -> Any:
        return (await _patient(lambda: self._service.submit(request, who, "slack")))[0]

    async def _plan(self, request: SessionRequest, who: Principal) -> Any:
        return await _patient(lambda: self._service.plan(request, who))

    async def _mention(self, event: dict[str, Any], context: Any) -> None:
        await self._talk(event, str(context.get("bot_user_id") or ""))

    async def _message(self, event: dict[str, Any], context: Any) -> None:
        """Direct messages of people; edits, joins and other bots are nobody's question."""
        if event.get("channel_type") == "im" and not event.get("subtype"):
            await self._talk(event, str(context.get("bot_user_id") or ""))

    async def _talk(self, event: dict[str, Any], me: str) -> None:
        user, channel = event.get("user"), event["channel"]
        if not user or event.get("bot_id"):
            return
        direct = event.get("channel_type") == "im"
        thread = event.get("thread_ts") or (None if direct else event["ts"])
        place = Place(channel, thread)
        who = principal_of(self._service.settings, user, channel)
        if not who.may("read"):
            await self._quietly(channel, user, refusal(user, channel, "read"))
            return
        text = to_plain(event.get("text", ""), me)
        if not text:
            await self._say(place, words.HELP)
            return
        history = await self._history(event, me)
        messages = [*history, Message(role="user", content=text)]
        command = command_of(messages)
        try:
            if command and command.verb == "start":
                if not who.may("run"):
                    said = refusal(user, channel, "run")
                else:
                    said = await self._start(request_of(command.request), who, place)
            else:
                said = await self._answer(messages, who, place)
        except AdvisorError as error:
            said = f"Не получилось: {escape(str(error))}"
        if command and command.verb == "resume" and command.session:
            self.boards.again(command.session)
        await self._say(place, said)

    async def _answer(self, messages: list[Message], who: Principal, place: Place) -> str:
        token = HERE.set(place)
        try:
            found = answer(messages, self._service, who, origin="slack", live=False)
            return to_mrkdwn("".join([piece async for piece in found]))
        finally:
            HERE.reset(token)

    async def _history(self, event: dict[str, Any], me: str) -> list[Message]:
        """What was said in this thread before; nothing where the bot may not read it."""
        if not event.get("thread_ts"):
            return []
        try:
            page = await self._client.conversations_replies(
                channel=event["channel"], ts=event["thread_ts"], limit=_HISTORY
            )
        except FAILURES as error:
            _LOG.info("no history: %s", told(error))
            return []
        said: list[dict[str, Any]] = page.get("messages", [])
        before = [m for m in said if m.get("ts") != event["ts"]]
        return [
            Message(
                role="assistant" if m.get("user") == me or m.get("bot_id") else "user",
                content=to_plain(m.get("text", ""), me),
            )
            for m in before
            if m.get("text")
        ]

    async def _reaction(self, event: dict[str, Any]) -> None:
        """:x: on a session's message stops the session."""
        item = event.get("item", {})
        if event.get("reaction") != "x" or item.get("type") != "message":
            return
        channel, user = item["channel"], event["user"]
        board = self._memory.board_at(channel, item["ts"])
        if board is None:
            return
        if not principal_of(self._service.settings, user, channel).may("run"):
            await self._quietly(channel, user, refusal(user, channel, "run"))
            return
        try:
            await self._service.cancel(board.session)
        except ApiError as error:
            await self._quietly(channel, user, escape(str(error)))

    async def _approve(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await self._decide(body, approved=True)

    async def _decline(self, ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await self._decide(body, approved=False)

    async def _decide(self, body: dict[str, Any], *, approved: bool) -> None:
        user, channel = body["user"]["id"], body["channel"]["id"]
        session, _, question = str(body["actions"][0].get("value", "")).partition(" ")
        if not principal_of(self._service.settings, user, channel).may("run"):
            await self._quietly(channel, user, refusal(user, channel, "run"))
            return
        asked = self._memory.asked(session, question)
        if asked is None or asked[0] != channel:
            await self._quietly(channel, user, "Этого вопроса здесь не было.")
            return
        try:
            await self._service.approve(session, question, approved=approved, by=f"<@{user}>")
        except ApiError as error:
            await self._quietly(channel, user, escape(str(error)))

    async def _say(self, place: Place, text: str) -> None:
        for piece in pieces(text):
            await self._client.chat_postMessage(
                channel=place.channel, thread_ts=place.thread, text=piece, unfurl_links=False
            )

    async def _quietly(self, channel: str, user: str, text: str) -> None:
        """For one person's eyes."""
        await self._client.chat_postEphemeral(channel=channel, user=user, text=text[:MOST])


def _request_of(text: str) -> SessionRequest:
    command = command_of([Message(role="user", content=text)])
    if command is None or command.verb not in ("start", "plan"):
        raise ApiError(400, "bad_input", "Не вижу, какую модель", "Например: optimize demo")
    return request_of(command.request)


async def _patient(call: Any) -> Any:
    """A model that is being prepared is worth waiting for: nobody holds a connection open here."""
    for tried in range(_PREPARE_TRIES):
        try:
            return await call()
        except ApiError as error:
            if error.code != "preparing" or tried == _PREPARE_TRIES - 1:
                raise
    raise AssertionError
