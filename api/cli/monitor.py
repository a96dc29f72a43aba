"""`advisor monitor URL`: watch a served endpoint, and say when it is no longer what it was."""

import asyncio
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from api.settings import Settings

if TYPE_CHECKING:
    from advisor.monitoring.proposal import Tuned
    from advisor.monitoring.watch import Alert
    from tools.monitor.notify import Places
    from tools.monitor.windows import Window


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("monitor", help="Следить за работающим сервером: дрейф, утечки, нагрузка.")(monitor)


def monitor(  # noqa: PLR0913 - options
    url: str = typer.Argument(help="Адрес сервера, http://127.0.0.1:8000"),
    model: str | None = typer.Option(None, help="Модель; по умолчанию первая из /v1/models."),
    every: str = typer.Option("15s", help="Как часто смотреть."),
    canary_every: str = typer.Option("60s", help="Как часто свой пробный запрос; 0s — никогда."),
    duration: str | None = typer.Option(None, "--for", help="Сколько следить; иначе до Ctrl+C."),
    session: str | None = typer.Option(None, help="Сессия, под которую сервер настроен."),
    price: float | None = typer.Option(None, help="Цена сервера, $ в час."),
    false_alarms: float = typer.Option(1.0, help="Ложных тревог в месяц, в среднем не больше."),
    slack: str | None = typer.Option(
        None, help="Канал Slack для тревог (ADVISOR_SLACK_BOT_TOKEN)."
    ),
    webhook: str | None = typer.Option(None, help="Адрес, куда слать тревоги (POST, JSON)."),
    chat: bool = typer.Option(False, help="Пробный запрос через /v1/chat/completions."),
    api_key_env: str = typer.Option("OPENAI_API_KEY", help="Переменная с ключом сервера."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Exit code 0; 130 where it was stopped by hand. Alerts are in the --json object."""
    from knowledge.errors import BadInput
    from knowledge.quantities import parse_duration
    from tools.load import Target
    from tools.monitor.endpoint import Plan

    every_s, canary_s = parse_duration(every), parse_duration(canary_every)
    if every_s < 1:
        raise BadInput(f"--every {every}: слишком часто", "Не чаще чем раз в секунду: 1s")
    if false_alarms <= 0:
        raise BadInput("--false-alarms должно быть больше нуля", "Например, 1 в месяц")
    if price is not None and price < 0:
        raise BadInput("--price не может быть меньше нуля", "Цена в долларах за час")
    settings = Settings()
    target = Target(
        base_url=url, model=model or "", endpoint="chat" if chat else "completions",
        api_key=os.environ.get(api_key_env),
    )  # fmt: skip
    plan = Plan(every_s, canary_s or None, price)
    run = _Run(
        target, plan, settings, _places(settings, slack, webhook), false_alarms,
        parse_duration(duration) if duration else None, session,
    )  # fmt: skip
    try:
        asyncio.run(run.watch())
    except KeyboardInterrupt:
        run.stopped = True
    return run.conclude(json_file)


def _places(settings: Settings, slack: str | None, webhook: str | None) -> "Places":
    from knowledge.errors import BadInput
    from tools.load.http import parse_url
    from tools.monitor.notify import Places

    if slack and settings.slack_bot_token is None:
        raise BadInput("для --slack нет токена", "Задайте ADVISOR_SLACK_BOT_TOKEN")
    if webhook:
        parse_url(webhook)
    secret, token = settings.webhook_secret, settings.slack_bot_token
    return Places(
        webhook=webhook,
        webhook_secret=secret.get_secret_value() if secret else None,
        slack_channel=slack,
        slack_token=token.get_secret_value() if token else None,
        slack_api_url=settings.slack_api_url,
    )


class _Run:
    """One run of the command."""

    def __init__(
        self, target: Any, plan: Any, settings: Settings, places: "Places", false_alarms: float,
        seconds: float | None, session: str | None,
    ) -> None:  # fmt: skip
        self._target, self._plan, self._settings = target, plan, settings
        self._places, self._false_alarms = places, false_alarms
        self._seconds, self._session = seconds, session
        self.windows = 0
        self.alerts: list[Alert] = []
        self.engine: str | None = None
        self.stopped = False

    async def watch(self) -> None:
        from dataclasses import replace

        from advisor.monitoring.watch import Watch
        from knowledge.errors import BadInput
        from tools.load import models
        from tools.monitor.endpoint import Endpoint
        from tools.monitor.history import History, path_of

        served = await models(self._target.base_url, self._target.api_key)
        if not served and not self._target.model:
            raise BadInput("сервер не называет своих моделей", "Назовите её: --model")
        if self._target.model and served and self._target.model not in served:
            raise BadInput(f"у сервера нет модели {self._target.model!r}",
                           f"Есть: {', '.join(served)}")  # fmt: skip
        target = replace(self._target, model=self._target.model or served[0])
        endpoint = Endpoint(target, self._plan)
        has_metrics = await endpoint.scrape() is not None
        self.engine = endpoint.engine
        tuned = await self._tuned()
        watcher = Watch(
            self._plan.every_s, false_alarms_per_month=self._false_alarms, tuned=tuned,
            model=target.model,
        )  # fmt: skip
        path = path_of(self._settings.folders(), self._target.base_url)
        with History.open(path, "advisor monitor") as history:
            remembered = history.windows(int(7 * 86_400 / self._plan.every_s))
            for window in remembered:
                watcher.feed(window)
            _say(self._opening(has_metrics, len(remembered)))
            end = time.monotonic() + self._seconds if self._seconds else float("inf")
            async for window in endpoint.windows():
                self.engine = endpoint.engine
                await self._window(window, watcher.feed(window), history)
                if time.monotonic() >= end:
                    return

    async def _window(self, window: "Window", alerts: "list[Alert]", history: Any) -> None:
        from tools.monitor.notify import tell
        from tools.store.connection import naive

        history.add(window)
        self.windows += 1
        _say(_line(window))
        for alert in alerts:
            self.alerts.append(alert)
            history.add_alert(naive(alert.at), alert.kind, alert.metric, alert.text,
                              alert.model_dump_json())  # fmt: skip
            text = f"{self._target.base_url}: {alert.text}"
            _say(f"! {text}")
            facts = {"url": self._target.base_url, **alert.model_dump(mode="json")}
            for place in await tell(self._places, text, facts):
                _say(f"! не удалось сообщить: {place}")

    async def _tuned(self) -> "Tuned | None":
        if not self._session:
            return None
        from advisor.monitoring.proposal import tuned_for
        from api.cli.sessions import _record

        record = await _record(self._session)
        return tuned_for(record.row.session, record.task)

    def _opening(self, has_metrics: bool, remembered: int) -> str:
        if self.engine:
            known = f"метрики {self.engine}"
        elif has_metrics:
            known = "метрики незнакомого движка: слежу только пробными запросами"
        else:
            known = "/metrics нет: слежу только пробными запросами"
        past = f"; помню {remembered} прошлых окон" if remembered else ""
        return f"{self._target.base_url}: {known}{past}. Остановить: Ctrl+C."

    def conclude(self, json_file: str | None) -> int:
        found = {
            "url": self._target.base_url, "engine": self.engine, "windows": self.windows,
            "alerts": [alert.model_dump(mode="json") for alert in self.alerts],
        }  # fmt: skip
        if json_file:
            from pathlib import Path

            text = json.dumps(found, ensure_ascii=False, indent=2)
            print(text) if json_file == "-" else Path(json_file).write_text(text + "\n")
        _say(f"Окон: {self.windows}, тревог: {len(self.alerts)}.")
        return 130 if self.stopped else 0


def _say(text: str) -> None:
    """Progress is not the answer: --json - stays clean."""
    print(text, file=sys.stderr, flush=True)


def _line(window: "Window") -> str:
    from knowledge.quantities import format_number

    shown = [
        ("запросов/с", window.requests_per_s, 2), ("TTFT мс", window.ttft_mean_ms, 0),
        ("TPOT мс", window.tpot_mean_ms, 1), ("идёт", window.requests_running, 0),
        ("ждёт", window.requests_waiting, 0), ("проба TTFT мс", window.canary_ttft_ms, 0),
    ]  # fmt: skip
    said = ", ".join(f"{name} {format_number(v, d)}" for name, v, d in shown if v is not None)
    return f"{window.at:%H:%M:%S}  {said or 'нет ответа'}"
