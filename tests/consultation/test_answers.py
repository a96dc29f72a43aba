"""How answers behave: honesty, bad input, languages, sessions."""

import re
from collections.abc import Sequence
from datetime import date

import pytest

from advisor.consultation import Message, Piece, Services, SessionRequest, SessionView, consult
from tests.consultation import exam


async def _pieces(text: str, services: Services | None = None) -> list[Piece]:
    services = services or Services(today=exam.TODAY)
    return [
        piece async for piece in consult([Message(role="user", content=text)], services=services)
    ]


async def _text(text: str, services: Services | None = None) -> str:
    return "".join(piece.text for piece in await _pieces(text, services) if piece.kind == "text")


async def test_end_is_last_and_carries_the_figures() -> None:
    pieces = await _pieces("Влезет ли Llama-3.1-8B в bf16 на RTX 4090?")
    assert [piece.kind for piece in pieces].count("end") == 1
    end = pieces[-1]
    assert end.data["path"] == "rules"
    assert end.data["figures"]["weights_bytes"] == pytest.approx(8.03e9 * 2, rel=0.01)


@pytest.mark.parametrize(
    "question",
    [
        q["q"]
        for n in exam.files()
        for q in exam.load(n)
        if q["kind"] in ("latency", "gpu-choice", "precision", "compare")
    ],
)
async def test_a_speed_up_is_never_told_without_its_origin(question: str) -> None:
    text = await _text(question)
    if re.search(r"×\d|в \d[\d,]* раз|ток/с|TPOT[^.]{0,20}\d|быстрее", text):
        assert re.search(
            r"прогноз|измерен|расч[её]т|roofline|с ваших слов|ожида|замер", text, re.I
        ), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\n",
        "?",
        "ъъъ",
        "🙂🙂",
        "a" * 9000,
        "NaN/0",
        "1" * 400,
        "⟦GG⟧",
        "$$$",
        "H100" * 300,
    ],
)
async def test_strange_input_is_answered_and_never_raises(text: str) -> None:
    pieces = await _pieces(text)
    assert pieces[-1].kind == "end"
    assert any(piece.kind == "text" and piece.text.strip() for piece in pieces)


async def test_no_messages_ask_for_a_question() -> None:
    services = Services(today=exam.TODAY)
    pieces = [piece async for piece in consult([], services=services)]
    assert pieces[-1].kind == "end"


async def test_stale_price_is_marked_by_the_day_of_the_question() -> None:
    services = Services(today=date(2028, 1, 1))
    assert "старше 90 дней" in await _text("сколько стоит H100 в час?", services)


async def test_english_only_when_asked() -> None:
    assert re.search("[а-я]{5}", await _text("Does Llama-3.1-8B fit on a T4?"))
    assert not re.search(
        "[а-я]{5}",
        (await _text("Does Llama-3.1-8B fit on a T4? Answer in English")).split("**Sources**")[0],
    )


class _Sessions:
    def __init__(self) -> None:
        self.started: list[SessionRequest] = []

    async def recent(self) -> Sequence[SessionView]:
        return [
            SessionView(
                session="20261123-1200-abcd",
                status="done",
                model="SmolLM2-135M",
                engine="vllm",
                workload="demo",
                started=date(2026, 11, 23),
                summary="Сдано: по умолчанию.",
            )
        ]

    async def start(self, request: SessionRequest) -> str | None:
        self.started.append(request)
        return "20261123-1300-ef01"


async def test_a_session_is_started_with_what_was_said() -> None:
    sessions = _Sessions()
    text = await _text(
        "Запусти оптимизацию demo с целью throughput, 16 потоков",
        Services(today=exam.TODAY, sessions=sessions),
    )
    assert "20261123-1300-ef01" in text
    assert (
        sessions.started[0].model,
        sessions.started[0].objective,
        sessions.started[0].concurrency,
    ) == ("demo", "throughput", 16)


async def test_a_question_about_starting_starts_nothing() -> None:
    sessions = _Sessions()
    await _text(
        "Как запустить оптимизацию Llama-3.1-8B?", Services(today=exam.TODAY, sessions=sessions)
    )
    assert not sessions.started


async def test_sessions_are_listed() -> None:
    text = await _text("какие сессии уже были?", Services(today=exam.TODAY, sessions=_Sessions()))
    assert "20261123-1200-abcd" in text
