"""Boards: one message per session, edited as it goes; in the end its report in the thread."""

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from aiohttp import ClientError
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from advisor import approval
from api.errors import ApiError
from api.narration import event_line
from api.schemas import SessionView
from api.service import Service
from api.service.jobs import Job
from api.slack import words
from api.slack.memory import Board, Memory
from api.slack.mrkdwn import MOST
from api.slack.places import HERE, place_of
from knowledge.errors import AdvisorError
from knowledge.types import Event

_LOG = logging.getLogger("advisor.slack")
_LINES = 6
_AGAIN_S = (5.0, 30.0, 120.0)
_GONE = ("channel_not_found", "is_archived", "not_in_channel", "account_inactive", "token_revoked",
         "invalid_auth", "missing_scope")  # fmt: skip
FAILURES = (SlackClientError, ClientError, OSError, TimeoutError)


class Boards:
    """Follows every session that Slack was told of, over restarts too."""

    def __init__(self, service: Service, client: AsyncWebClient, memory: Memory) -> None:
        self._service, self._client, self._memory = service, client, memory
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Go on with what a restart has cut off."""
        self._service.on_begin.append(self.begun)
        for board in self._memory.undelivered():
            self._follow(board)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def begun(self, view: SessionView, job: Job) -> None:
        """A session is in the queue: put its message up where it was asked for."""
        place = HERE.get() or place_of(job.notify)
        if place is None or self._memory.board(view.id):
            return
        detail = await self._service.detail(view.id)
        text = words.board_text(detail, (), self._service)
        try:
            posted = await self._client.chat_postMessage(
                channel=place.channel, thread_ts=place.thread, text=text[:MOST],
                unfurl_links=False,
            )  # fmt: skip
        except FAILURES as error:
            _LOG.warning("session %s: no message in %s: %s", view.id, place.channel, told(error))
            return
        # The answer has the channel's id where a rule gave its #name.
        board = Board(view.id, str(posted["channel"]), str(posted["ts"]), place.thread)
        self._memory.put_board(board)
        self._follow(board)

    def again(self, session: str) -> None:
        """A session that was resumed is told of in its old message."""
        if board := self._memory.board(session):
            self._memory.put_board(board)
            self._follow(board)

    def _follow(self, board: Board) -> None:
        running = self._tasks.get(board.session)
        if running is None or running.done():
            self._tasks[board.session] = asyncio.create_task(self._kept(board))

    async def _kept(self, board: Board) -> None:
        """Tries again as long as Slack can't be reached; gives up where the channel is gone."""
        for pause_s in chain(_AGAIN_S, repeat(_AGAIN_S[-1])):
            try:
                await self._run(board)
                return
            except FAILURES as error:
                _LOG.warning("session %s: %s", board.session, told(error))
                if told(error) in _GONE:
                    return
                await asyncio.sleep(pause_s)
            except AdvisorError as error:
                _LOG.warning("session %s: %s", board.session, error)
                return

    async def _run(self, board: Board) -> None:
        screen = _Screen(self._service, self._client, board)
        async for batch in self._service.follow(board.session):
            for one in batch:
                if one.event.kind in (approval.ASKED, approval.ANSWERED):
                    await self._question(board, one.event)
            screen.add([one.event for one in batch])
            await screen.draw()
        if self._service.events.closing:
            return  # the next start goes on
        await screen.draw(final=True)
        await self._deliver(board)
        self._memory.delivered(board.session)

    async def _question(self, board: Board, event: Event) -> None:
        """Ask with buttons once; take them away once there is an answer."""
        question = str(event.payload["id"])
        asked = self._memory.asked(board.session, question)
        if event.kind == approval.ASKED and asked is None:
            text = str(event.payload["text"])
            posted = await self._client.chat_postMessage(
                channel=board.channel, thread_ts=board.thread or board.ts, text=text,
                blocks=words.question_blocks(board.session, question, text),
            )  # fmt: skip
            self._memory.put_question(board.session, question, board.channel, str(posted["ts"]))
        elif event.kind == approval.ANSWERED and asked:
            text = await self._text_of(board.session, question)
            await self._client.chat_update(
                channel=asked[0], ts=asked[1], text=text,
                blocks=words.answered(text, words.verdict(event.payload)),
            )  # fmt: skip

    async def _text_of(self, session: str, question: str) -> str:
        events = await asyncio.to_thread(self._service.store.events, session)
        return next((str(e.payload["text"]) for e in events
                     if e.kind == approval.ASKED and e.payload["id"] == question), "")  # fmt: skip

    async def _deliver(self, board: Board) -> None:
        """The report with its pictures, into the thread."""
        with suppress(ApiError):  # none: the session was stopped or has failed
            report = await self._service.report(board.session)
            record = await self._service.record(board.session)
            names = await asyncio.to_thread(self._service.reports.pictures, record)
            files = [_file(report, f"{board.session}.md", "Отчёт")]
            files += [_file(report.with_suffix("") / name, name, name) for name in names]
            await self._client.files_upload_v2(
                channel=board.channel, thread_ts=board.thread or board.ts,
                initial_comment=f"Отчёт сессии {board.session}", file_uploads=files,
            )  # fmt: skip


class _Screen:
    """The text of a board; drawn at most every so often, and only when it has changed."""

    def __init__(self, service: Service, client: AsyncWebClient, board: Board) -> None:
        self._service, self._client, self._board = service, client, board
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._drawn = ""
        self._drawn_at = float("-inf")

    def add(self, events: list[Event]) -> None:
        self._lines += [line for event in events if (line := event_line(event))]

    async def draw(self, *, final: bool = False) -> None:
        wait_s = self._drawn_at + self._service.settings.slack_edit_every_s - time.monotonic()
        if wait_s > 0 and not final:
            await asyncio.sleep(wait_s)  # what comes meanwhile comes in the next batch
        detail = await self._service.detail(self._board.session)
        text = words.board_text(detail, list(self._lines), self._service)[:MOST]
        if text == self._drawn:
            return
        await self._client.chat_update(channel=self._board.channel, ts=self._board.ts, text=text)
        self._drawn, self._drawn_at = text, time.monotonic()


def told(error: BaseException) -> str:
    """Slack's own word for an error, or its kind: never the request, which holds the token."""
    if isinstance(error, SlackApiError):
        return str(error.response.get("error", "slack error"))
    return type(error).__name__


def _file(path: Path, name: str, title: str) -> dict[str, Any]:
    return {"file": str(path), "filename": name, "title": title}
