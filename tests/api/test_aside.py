"""Consultation in a process of its own: the same answers, and it outlives a broken process."""

import asyncio
import os
import signal
from datetime import date

import psutil

from advisor.consultation import Message
from api.chat.aside import Aside

TODAY = date(2026, 11, 23)


def question(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


async def test_a_process_that_dies_is_replaced_and_every_question_gets_its_due() -> None:
    aside = Aside(1)
    try:
        first = await aside.texts(question("Влезет ли Llama 70B в H100?"), TODAY)
        assert first
        assert aside._pool
        (pid,) = aside._pool._processes
        os.kill(pid, signal.SIGTERM)  # a terminal's Ctrl-C or a stop of the group: not its business
        assert await aside.texts(question("Влезет ли Llama 70B в H100?"), TODAY) == first
        waiting = [
            asyncio.create_task(aside.texts(question(f"Влезет ли 7B в {n} L4?"), TODAY))
            for n in range(1, 20)
        ]
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        answers = await asyncio.gather(*waiting)
        assert None in answers  # those are answered by the service itself
        assert await aside.texts(question("Влезет ли Llama 70B в H100?"), TODAY) == first
        assert aside._pool
        assert len(aside._pool._processes) == 1
    finally:
        aside.close()
    assert await aside.texts(question("Влезет ли Llama 70B в H100?"), TODAY) is None


async def test_a_question_about_sessions_goes_back_to_the_service() -> None:
    aside = Aside(1)
    try:
        assert await aside.texts(question("покажи мои последние сессии"), TODAY) is None
    finally:
        aside.close()


async def test_its_algebra_takes_one_thread_and_the_service_is_left_as_it_was() -> None:
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    aside = Aside(1)
    try:
        assert await aside.texts(question("Влезет ли 7B в L4?"), TODAY)
        assert aside._pool
        (pid,) = aside._pool._processes
        assert psutil.Process(pid).environ()[name] == "1"
    finally:
        aside.close()
    assert os.environ.get(name) == before
