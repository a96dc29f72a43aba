"""What the API takes and gives, with examples: the OpenAPI document is written from these."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from advisor import policies
from advisor.report.summary import Summary
from api.tasks import Request
from knowledge.types import Estimate, FlagValue, Interval, Profile

_Short = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")
]
_Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s\x00-\x1f]+$")]
_MOST_TOKENS = 10_000_000


class Body(BaseModel):
    """What a client sends: an unknown field is an error, not a wish unheard."""

    model_config = ConfigDict(extra="forbid")


class SessionRequest(Body):
    """What to optimize: the options of `advisor optimize`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"model": "demo", "workload": "demo", "objective": "throughput", "budget": "30m"},
                {
                    "model": "meta-llama/Llama-3.1-8B-Instruct",
                    "engine": "vllm",
                    "workload": "rag",
                    "objective": "ttft",
                    "slo": ["tpot_p95=60ms"],
                    "budget": "2h",
                },
            ]
        },
    )

    model: _Text = Field(description="Папка, .gguf, id с хаба (скачанный) или demo.")
    engine: _Short = Field("vllm", description="Движок.")
    workload: _Text = Field("chat", description="Название нагрузки или файл .jsonl.")
    concurrency: int | None = Field(None, ge=1, le=4096, description="Потоков запросов.")
    rate: float | None = Field(None, gt=0, le=1e6, description="Запросов в секунду (Poisson).")
    input_tokens: int | None = Field(None, ge=1, le=_MOST_TOKENS, description="Вход, не больше.")
    output_tokens: int | None = Field(None, ge=1, le=_MOST_TOKENS, description="Выход, не больше.")
    objective: _Short = Field("latency", description="latency, ttft, tpot, throughput или cost.")
    slo: list[_Short] = Field([], max_length=20, description="Например, ttft_p95=200ms.")
    quality_floor: float | None = Field(None, gt=0, le=10, description="Допуск, нат/токен.")
    budget: _Short = Field("30m", description="Сколько времени на всё: 90s, 30m, 2h.")
    trials: int | None = Field(None, ge=1, le=1000, description="Сколько гипотез, не больше.")
    policy: _Short = Field("portfolio", description=", ".join(policies.names()) + ".")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Зерно случайных чисел.")
    flags: dict[_Short, FlagValue] = Field(
        {}, max_length=50, description="Флаги движка, общие для всех вариантов этой сессии."
    )
    dummy_weights: bool = Field(
        False, description="Случайные веса: из модели берётся только config.json."
    )
    naive: bool | None = Field(None, description="Мерить ли наивный transformers (по бюджету).")
    webhook: _Url | None = Field(None, description="Куда послать итог (POST, JSON).")
    approvals: bool = Field(
        False,
        description="Спрашивать человека перед дорогим замером и перед тем, как принять"
        " конфигурацию с качеством ниже порога. Нет ответа вовремя — шаг пропускается.",
    )

    def options(self) -> Request:
        """The same as typed options of the command line."""
        fields = self.model_dump(exclude={"naive", "webhook", "flags", "approvals"})
        flags = [f"{name}={_typed(value)}" for name, value in self.flags.items()]
        return Request(**fields, flag=tuple(flags))


def _typed(value: FlagValue) -> str:
    """As `--flag name=value` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


SessionState = Literal[
    "queued", "running", "cancelling", "done", "infeasible", "cancelled", "failed", "interrupted"
]


class Links(BaseModel):
    """Where the rest of a session is."""

    self: str
    events: str
    trials: str
    report: str


class SessionView(BaseModel):
    """One session as a list shows it."""

    id: str = Field(examples=["20261123-101500-ab12"])
    object: Literal["session"] = "session"
    state: SessionState
    position: int | None = Field(None, description="Место в очереди: 1 — следующая.")
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    model: str
    engine: str
    workload: str
    objective: str
    origin: str = Field("cli", description="Кто начал: api, chat, mcp, slack, hook, watch, cli.")
    error: str | None = None
    links: Links


class SessionDetail(SessionView):
    """One session with what it has found so far."""

    trials: int = Field(description="Сколько замеров сделано.")
    last_event: int = Field(description="Номер последнего события.")
    budget_s: float
    profile: Profile | None = None
    summary: Summary | None = None
    report_ready: bool


class Page(BaseModel):
    """A page of a list; `next` is the cursor of the following one."""

    object: Literal["list"] = "list"
    next: str | None = Field(None, description="Передайте как after; null — это конец.")


class SessionPage(Page):
    """Sessions, the newest first."""

    data: list[SessionView]


class TrialView(BaseModel):
    """One trial with its prediction and its verdict."""

    id: str = Field(examples=["t03-1a2b3c4d"])
    ordinal: int
    purpose: str
    title: str
    flags: dict[str, FlagValue]
    env: dict[str, str]
    artifact: str | None
    started_at: datetime
    seconds: float
    metrics: dict[str, Estimate]
    perplexity: float | None
    failure: str | None
    predicted_speedup: Interval | None
    speedup: Estimate | None
    decision: str | None
    reason: str | None
    slos_met: bool | None


class TrialPage(Page):
    """Trials in the order in which they ran."""

    data: list[TrialView]


class LaneView(BaseModel):
    """One accelerator and what runs on it."""

    lane: int
    session: str | None


class QueueView(BaseModel):
    """Lanes and what waits for them, in order."""

    lanes: list[LaneView]
    waiting: list[SessionView]


class PlannedStep(BaseModel):
    """One hypothesis that a session would try first, with its prediction."""

    title: str
    technique: str
    rationale: str
    predicted_speedup: Interval = Field(description="90 % интервал; больше 1 — лучше.")
    cost_s: float
    quality_risk: str
    evidence: list[str]
    within_budget: bool


class PlanView(BaseModel):
    """A dry run: nothing is launched, everything here is computed."""

    object: Literal["plan"] = "plan"
    model: str
    engine: str
    metric: str
    profile: Profile
    fits: bool
    memory: dict[str, float | int | bool | None]
    steps: list[PlannedStep]
    accelerator_s: float = Field(description="Сколько секунд устройства займёт сессия.")
    at_most_s: float
    notes: list[str]


class HookAnswer(BaseModel):
    """What became of a new model."""

    outcome: Literal["started", "skipped"]
    reason: str
    rule: str | None = None
    session: str | None = None
