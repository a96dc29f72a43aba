"""The one settings class: built at the edge, handed down. No other module reads the environment."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tools.home import Home

Names = Annotated[tuple[str, ...], NoDecode]
Folders = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """Environment variables with the prefix ADVISOR_. Each field's description is its reference."""

    model_config = SettingsConfigDict(env_prefix="ADVISOR_", frozen=True)

    home: Path | None = Field(
        None, description="Одна папка и для данных, и для кэша; иначе каталоги XDG."
    )

    store: SecretStr | None = Field(
        None, description="postgresql://… — общее хранилище нескольких реплик сервиса; без него"
        " DuckDB и SQLite в папке данных. Нужны pip install 'inference-advisor[postgres]' и"
        " ADVISOR_SHARED."
    )  # fmt: skip
    shared: Path | None = Field(
        None, description="Папка, общая для реплик и видимая им под одним путём: отчёты и запросы"
        " испытаний (Parquet)."
    )  # fmt: skip

    objects: str | None = Field(
        None, description="s3://ВЕДРО/ПУТЬ (gs://, az://): откуда брать готовые сжатые копии и куда"
        " их класть; реплики держат там и запросы испытаний."
    )  # fmt: skip

    host: str = Field("127.0.0.1", description="Адрес, на котором слушает `advisor serve`.")
    port: int = Field(8700, ge=0, le=65535, description="Порт `advisor serve`.")
    public_url: str | None = Field(
        None, description="Как сервис виден снаружи; из него строятся ссылки в чате и уведомлениях."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Подробность журнала сервиса."
    )

    reports: Path | None = Field(
        None, description="Папка отчётов сервиса; по умолчанию reports в каталоге данных."
    )
    roots: Folders = Field(
        (),
        description="Папки через двоеточие, откуда сервису разрешено брать модели и файлы нагрузки."
        " Модель demo и модели из кэша Hugging Face разрешены и без этого.",
    )
    engines: Names = Field(
        (), description="Через запятую: какие движки разрешены сервису; пусто — все."
    )
    allow_remote_code: bool = Field(
        False,
        description="Разрешить модели и флаги, которые загружают чужой код (trust_remote_code,"
        " плагины).",
    )
    allowed_hosts: Names = Field(
        (),
        description="Через запятую: хосты, адреса и сети (10.1.0.0/16), на которые сервису можно"
        " ходить, хотя они частные. По умолчанию — только публичные адреса.",
    )
    max_budget: str = Field("8h", description="Наибольший бюджет одной сессии через сервис.")

    ray_address: str | None = Field(
        None,
        validation_alias=AliasChoices("ADVISOR_RAY_ADDRESS", "RAY_ADDRESS"),
        description="ХОСТ:ПОРТ кластера для `--executor ray`; иначе RAY_ADDRESS, иначе кластер, где"
        " эта машина — узел.",
    )

    lanes: int | None = Field(
        None, ge=1, le=64, description="Сколько сессий идут сразу; по умолчанию по числу GPU."
    )
    queue_limit: int = Field(100, ge=1, description="Сколько сессий может ждать в очереди.")
    drain_s: float = Field(
        30.0, ge=0, description="Сколько секунд отмена ждёт конца идущего замера, прежде чем"
        " прервать его."
    )  # fmt: skip
    kill_s: float = Field(
        20.0, gt=0, description="Сколько секунд даётся прерванной сессии на уборку до SIGKILL."
    )

    rate_per_minute: int = Field(
        600, ge=1, description="Сколько запросов в минуту разрешено одному ключу."
    )
    rate_burst: int = Field(120, ge=1, description="Сколько из них могут прийти сразу.")
    body_limit_bytes: int = Field(
        2 * 2**20, ge=1024, description="Наибольшее тело запроса, байт; больше — ответ 413."
    )
    body_timeout_s: float = Field(
        15.0, gt=0, description="За сколько секунд тело запроса должно прийти целиком."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="За сколько секунд должны прийти заголовки запроса."
    )
    connections: int = Field(4000, ge=1, description="Сколько соединений открыто сразу.")
    stalled_s: float = Field(
        30.0, gt=0, description="Через сколько секунд отключается клиент, который не читает поток."
    )

    approval_wait_s: float = Field(
        1800.0, gt=0, description="Сколько секунд рискованный шаг ждёт решения человека; потом"
        " пропускается."
    )  # fmt: skip

    slack_bot_token: SecretStr | None = Field(
        None, description="Токен бота Slack (xoxb-…); без него Slack выключен."
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Signing secret приложения Slack: режим HTTP (/slack/events)."
    )
    slack_app_token: SecretStr | None = Field(
        None, description="App-level token Slack (xapp-…): socket mode, входящий адрес не нужен."
    )
    slack_read: Names = Field(
        (), description="Через запятую: id каналов (C…), а для личных сообщений людей (U…), которым"
        " бот отвечает; * — всем. Пусто — никому."
    )  # fmt: skip
    slack_run: Names = Field(
        (), description="То же для тех, кому можно начинать и останавливать сессии и одобрять"
        " рискованные шаги."
    )  # fmt: skip
    slack_api_url: str = Field(
        "https://slack.com/api/", description="Адрес Web API Slack; меняют для GovSlack и прокси."
    )
    slack_edit_every_s: float = Field(
        3.0, ge=0, description="Не чаще чем раз в столько секунд правится сообщение о сессии."
    )

    metrics_public: bool = Field(
        False, description="Отдавать /metrics без ключа (иначе нужен ключ со scope read)."
    )
    hook_policy: Path | None = Field(
        None, description="YAML с правилами для новых моделей (POST /v1/hooks/model и watch)."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Секрет подписи исходящих уведомлений (заголовок X-Advisor-Signature)."
    )

    consultants: int = Field(
        1, ge=0, le=16, description="Сколько процессов отвечает в чате без LLM; 0 — сам сервис."
    )
    llm_url: str | None = Field(
        None,
        description="OpenAI-совместимый адрес LLM для чата и советов в сессиях;"
        " без него чат считает сам.",
    )
    llm_model: str = Field("", description="Имя модели этой LLM.")
    llm_api_key: SecretStr | None = Field(None, description="Ключ этой LLM.")
    llm_session_tokens: int = Field(
        40_000, ge=0, description="Сколько токенов может потратить LLM на советы одной сессии;"
        " 0 — не спрашивать."
    )  # fmt: skip
    llm_session_timeout_s: float = Field(
        60.0,
        gt=0,
        description="Сколько секунд сессия ждёт одного ответа LLM; ожидание тратит её бюджет.",
    )
    llm_input_usd: float = Field(0.0, ge=0, description="Цена 1 млн входных токенов этой LLM, $.")
    llm_output_usd: float = Field(0.0, ge=0, description="Цена 1 млн выходных токенов этой LLM, $.")

    @field_validator("roots", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("engines", "allowed_hosts", "slack_read", "slack_run", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def folders(self) -> Home:
        chosen = {"ADVISOR_HOME": str(self.home)} if self.home else {}
        chosen |= {"ADVISOR_OBJECTS": self.objects} if self.objects else {}
        return Home.default({**os.environ, **chosen})

    @property
    def reports_dir(self) -> Path:
        whole = self.shared if self.store and self.shared else self.folders().data
        return (self.reports or whole / "reports").expanduser().absolute()
