"""The MCP server: ask, plan, start, status, report."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field, ValidationError

from api.mcp.backend import WhoAsks
from api.schemas import SessionRequest
from knowledge.errors import AdvisorError
from tools.store.schema import advisor_version

_INSTRUCTIONS = (
    "Советник по LLM inference. ask — вопрос (влезет ли модель, сколько стоит, что ускорит); "
    "plan — план без запуска; start — начать измеряемую сессию; status и report — её ход и отчёт. "
    "Тексты по-русски."
)
T = TypeVar("T")
Session = Annotated[str, Field(description="Номер сессии, например 20261123-101500-ab12.")]
Model = Annotated[str, Field(description="Папка, .gguf, id с хаба или demo.")]
Engine = Annotated[str, Field(description="vllm, sim…")]
Workload = Annotated[str, Field(description="chat, rag, code, batch, agent, demo…")]
Objective = Annotated[str, Field(description="latency, ttft, tpot, throughput или cost.")]
Duration = Annotated[str, Field(description="90s, 30m, 2h.")]
Slos = Annotated[list[str], Field(description="Например, ttft_p95=200ms.")]


def build(who: WhoAsks) -> MCPServer:
    """A server whose tools act for whoever calls them."""
    server = MCPServer(
        "inference-advisor", instructions=_INSTRUCTIONS, version=advisor_version(),
        log_level="WARNING",
    )  # fmt: skip

    @server.tool(title="Спросить советника", structured_output=False)
    async def ask(
        question: Annotated[str, Field(max_length=20_000, description="Вопрос.")], ctx: Context
    ) -> str:
        """Ответ с формулой, принятыми числами и источниками."""
        return await _told(who(ctx).ask(question))

    @server.tool(title="План без запуска")
    async def plan(
        ctx: Context,
        model: Model,
        engine: Engine = "vllm",
        workload: Workload = "chat",
        objective: Objective = "latency",
        budget: Duration = "30m",
        slo: Slos = [],  # noqa: B006 - pydantic copies it
    ) -> dict[str, Any]:
        """Гипотезы с прогнозом выигрыша и секундами устройства; ничего не запускается."""
        return await _told(who(ctx).plan(_request(model, engine, workload, objective, budget, slo)))

    @server.tool(title="Начать сессию")
    async def start(
        ctx: Context,
        model: Model,
        engine: Engine = "vllm",
        workload: Workload = "chat",
        objective: Objective = "latency",
        budget: Duration = "30m",
        slo: Slos = [],  # noqa: B006 - pydantic copies it
    ) -> dict[str, Any]:
        """Поставить измеряемую сессию в очередь. Нужен ключ со scope run."""
        return await _told(
            who(ctx).start(_request(model, engine, workload, objective, budget, slo))
        )

    @server.tool(title="Как идёт сессия", structured_output=False)
    async def status(session: Session, ctx: Context) -> str:
        """Состояние, место в очереди, что уже найдено."""
        return await _told(who(ctx).status(session))

    @server.tool(title="Отчёт сессии", structured_output=False)
    async def report(session: Session, ctx: Context) -> str:
        """Отчёт в Markdown на русском."""
        return await _told(who(ctx).report(session))

    return server


def _request(
    model: str, engine: str, workload: str, objective: str, budget: str, slo: list[str]
) -> SessionRequest:
    try:
        return SessionRequest(
            model=model, engine=engine, workload=workload, objective=objective, budget=budget,
            slo=slo,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise ToolError(f"{first['loc'][0]}: {first['msg']}") from None


async def _told(work: Awaitable[T]) -> T:
    """An error of ours is the tool's answer, marked as an error."""
    try:
        return await work
    except AdvisorError as error:
        raise ToolError(str(error)) from None
