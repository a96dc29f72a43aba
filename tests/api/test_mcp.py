"""The MCP tools with MCP's own client, over streamable HTTP and over stdio."""

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.api.conftest import Live, wait_state

TOOLS = {"ask", "plan", "start", "status", "report"}


def text(result: Any) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


def options(live: Live) -> dict[str, Any]:
    return {"model": str(live.models / "tiny"), "engine": "sim", "workload": "demo",
            "objective": "throughput", "budget": "20m"}  # fmt: skip


async def test_over_http_with_a_key(live: Live) -> None:
    headers = {"Authorization": f"Bearer {live.run_key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{live.url}/mcp", http_client=http)) as client,
    ):
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        assert "Сессий ещё не было" in text(
            await client.call_tool("ask", {"question": "список сессий"})
        )
        plan = await client.call_tool("plan", options(live))
        assert plan.structured_content
        assert plan.structured_content["steps"]
        started = await client.call_tool("start", options(live))
        assert started.structured_content
        session = started.structured_content["id"]
        assert session in text(await client.call_tool("status", {"session": session}))
        early = await client.call_tool("report", {"session": session})
        assert early.is_error
        assert "ещё нет" in text(early)
        wrong = await client.call_tool("start", options(live) | {"objective": "moon"})
        assert wrong.is_error
        assert "moon" in text(wrong)
    with live.client() as api:
        assert api.get(f"/v1/sessions/{session}").json()["origin"] == "mcp"
        api.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
        wait_state(api, session, "cancelled")


async def test_a_read_key_starts_nothing(live: Live) -> None:
    headers = {"Authorization": f"Bearer {live.read_key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{live.url}/mcp", http_client=http)) as client,
    ):
        refused = await client.call_tool("start", options(live))
        assert refused.is_error
        assert "scope run" in text(refused)


@pytest.mark.parametrize("running", [True, False])
async def test_over_stdio(models: Path, tmp_path: Path, running: bool, request: Any) -> None:
    """Through the service that runs, and without one."""
    home = request.getfixturevalue("live").settings.home if running else tmp_path / "other"
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "api.cli.main", "mcp"],
        env={"ADVISOR_HOME": str(home), "ADVISOR_ROOTS": str(models)},
    )
    async with Client(stdio_client(server)) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        said = await client.call_tool("ask", {"question": "список сессий"})
        assert "Сессий ещё не было" in text(said)
        unknown = await client.call_tool("status", {"session": "20990101-000000-0000"})
        assert "нет" in text(unknown)
