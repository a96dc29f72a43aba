"""What both of our own servers answer to clients that err, tried on the simulated one."""

import json
from typing import Any

import pytest

from tests.tools.engines.conftest import StartSim
from tools.load.http import fetch


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": "x", "max_tokens": -1}, "max_tokens"),
        ({"prompt": "x", "max_tokens": "many"}, "max_tokens"),
        ({"prompt": "x", "n": 2}, "n above 1"),
        ({"prompt": "x", "model": "another"}, "another"),
        ({"prompt": "x", "max_tokens": 9000}, "8192"),
    ],
)
async def test_a_bad_request_is_a_400_that_says_why(
    start_sim: StartSim, fields: dict[str, Any], said: str
) -> None:
    server = await start_sim()
    status, answer = await server.post("/v1/completions", **fields)
    assert status == 400
    assert said in answer["error"]["message"]


async def test_no_json_is_a_400_too(start_sim: StartSim) -> None:
    server = await start_sim()
    answer = await fetch(server.url, "/v1/completions", method="POST", body=b"{oops")
    assert answer.status == 400


async def test_an_unknown_path_is_a_404(start_sim: StartSim) -> None:
    server = await start_sim()
    assert (await fetch(server.url, "/v2/nothing")).status == 404


async def test_models_are_listed(start_sim: StartSim) -> None:
    server = await start_sim()
    listed = json.loads((await fetch(server.url, "/v1/models")).content)
    assert [model["id"] for model in listed["data"]] == ["tiny"]


async def test_serves_on_after_a_bad_request(start_sim: StartSim) -> None:
    server = await start_sim()
    await server.post("/v1/completions", prompt=None)
    status, answer = await server.post("/v1/completions", prompt=["one"], max_tokens=2)
    assert status == 200
    assert answer["usage"]["completion_tokens"] == 2
