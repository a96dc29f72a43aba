"""`advisor ask`: a question, an answer with its reckoning and its sources."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from functools import cache

import typer

from api.settings import Settings
from knowledge.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ask", help="Спросить: влезет ли, сколько выдержит, почём, почему медленно.")(ask)


def ask(
    words: list[str] = typer.Argument(
        None, metavar="ТЕКСТ", help="Вопрос; «-» читает его из stdin."
    ),
    as_json: bool = typer.Option(False, "--json", help="Один объект JSON."),
    no_llm: bool = typer.Option(False, "--no-llm", help="Не обращаться к LLM из настроек."),
) -> None:
    """Answers without an LLM; with ADVISOR_LLM_URL set, it speaks over the same calculators."""
    text = " ".join(words or []).strip()
    if text == "-":
        text = sys.stdin.read().strip()
    if not text:
        raise BadInput(
            "пустой вопрос", "Например: advisor ask «Влезет ли Llama-3.1-8B на RTX 4090?»"
        )
    asyncio.run(_answer(text, as_json=as_json, no_llm=no_llm))


async def _answer(text: str, *, as_json: bool, no_llm: bool) -> None:
    from advisor.consultation import LlmEndpoint, Message, Services, consult
    from advisor.prediction.sources import ours

    settings = Settings()
    llm = None
    if settings.llm_url and not no_llm:
        llm = LlmEndpoint(
            settings.llm_url,
            settings.llm_model,
            settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none",
        )
    services = Services(
        today=datetime.now(UTC).date(),
        llm=llm,
        sessions=_Stored(settings),
        measured=cache(lambda: ours(settings.folders())),
    )
    found: dict[str, object] = {"question": text, "answer": "", "sources": []}
    pieces = consult([Message(role="user", content=text)], services=services)
    async for piece in pieces:
        if piece.kind == "text":
            found["answer"] = f"{found['answer']}{piece.text}"
            if not as_json:
                print(piece.text, end="", flush=True)
        elif piece.kind == "source":
            found["sources"] = [*found["sources"], piece.data]  # type: ignore[misc]
        elif piece.kind == "end":
            found |= piece.data
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))


class _Stored:
    """Sessions of the store on this machine; it is opened only when a question is about them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def recent(self) -> list:  # type: ignore[type-arg]
        from advisor.consultation import SessionView
        from tools.store import Store

        path = self._settings.folders().store
        if not path.exists():
            return []
        with Store.open(path, "advisor ask") as store:
            return [
                SessionView(
                    session=row.session,
                    status=str(row.status),
                    model=row.model,
                    engine=row.engine,
                    workload=row.workload,
                    started=row.created_at.date(),
                    summary=_summary(store, row.session),
                )
                for row in store.sessions()[:10]
            ]

    async def start(self, request: object) -> str | None:
        """The command line starts sessions by `advisor optimize`, never behind an answer."""
        return None


def _summary(store: object, session: str) -> str:
    from tools.store import Store

    assert isinstance(store, Store)
    production = store.production(session)
    if production is None:
        return ""
    kept = sum(verdict.decision.value == "kept" for verdict in store.verdicts(session))
    handed = (
        "настройки по умолчанию" if production.handed_in == "default" else "найденная конфигурация"
    )
    return f"Сдано: {handed}; подтверждённых гипотез: {kept} (измерено здесь)."
