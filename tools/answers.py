"""Real answers of one configuration to the user's own prompts: launched, asked, torn down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from knowledge.errors import EngineFailed, NoRoom
from knowledge.quantities import format_bytes
from knowledge.types import Cause, TrialSpec
from tools import engines, envs
from tools.hardware import free_device_memory_bytes
from tools.load import wait_ready
from tools.load.http import fetch
from tools.preparing import World, prepare
from tools.process import ServerProcess, clean_env, free_port

_IN_FLIGHT = 4
_REQUEST_TIMEOUT_S = 600.0


async def answers(
    spec: TrialSpec, prompts: Sequence[str], world: World, *, max_tokens: int,
    env: Mapping[str, str] | None = None, told: Callable[[int], None] = lambda _done: None,
) -> tuple[str, ...]:  # fmt: skip
    """One greedy answer per prompt, by chat completions where the model has a chat template.

    `env` goes to the engine besides its own; `told` hears how many are done. Raises AdvisorError.
    """
    folder = await prepare(spec, world)
    engine = engines.load(spec.candidate.config.engine)
    needs = engine.env_spec(world.hardware)
    environment = envs.find(needs, world.home) if needs else None
    needed = engine.memory_needed_bytes(spec.candidate.config, spec.model, world.hardware)
    if needed > (free := free_device_memory_bytes(world.hardware)):
        raise NoRoom(
            f"нужно {format_bytes(needed)} памяти, свободно {format_bytes(free)}",
            "Освободите память устройства и повторите",
        )
    port = free_port()
    plan = engine.launch_plan(
        environment, spec.candidate.config, model=spec.model, model_path=folder, port=port,
        hardware=world.hardware,
    )  # fmt: skip
    log = Path(world.logs) / f"answers-{spec.trial_id}.log"
    server = await ServerProcess.start(plan.argv, clean_env({**(env or {}), **plan.env}), log)
    base_url = f"http://127.0.0.1:{port}"
    try:
        can = engine.capabilities(world.hardware)
        await wait_ready(
            base_url, lambda: server.returncode is None, spec.deadline_s, can.ready_path
        )
        return await _ask_all(base_url, spec.model.name, prompts, max_tokens, told)
    except OSError as error:
        raise EngineFailed(
            Cause.CRASH, f"сервер не ответил: {error or type(error).__name__}", server.log_tail(40)
        ) from error
    finally:
        await server.stop()


async def _ask_all(
    base_url: str, model: str, prompts: Sequence[str], max_tokens: int, told: Callable[[int], None]
) -> tuple[str, ...]:
    chat = await _has_chat(base_url, model)
    gate = asyncio.Semaphore(_IN_FLIGHT)
    done = 0

    async def one(prompt: str) -> str:
        nonlocal done
        async with gate:
            text = await _ask(base_url, model, prompt, max_tokens, chat=chat)
        done += 1
        told(done)
        return text

    jobs = [asyncio.ensure_future(one(prompt)) for prompt in prompts]
    try:
        return tuple(await asyncio.gather(*jobs))
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def _has_chat(base_url: str, model: str) -> bool:
    """A model without a chat template is refused with a 400."""
    status, _ = await _post(base_url, model, "Hi", 1, chat=True)
    return status == 200


async def _ask(base_url: str, model: str, prompt: str, max_tokens: int, *, chat: bool) -> str:
    status, body = await _post(base_url, model, prompt, max_tokens, chat=chat)
    if status != 200:
        said = body[:300].decode(errors="replace")
        raise EngineFailed(Cause.NO_MEASUREMENT, f"сервер отказал, код {status}: {said}")
    choice = orjson.loads(body)["choices"][0]
    return str((choice["message"]["content"] if chat else choice["text"]) or "")


async def _post(
    base_url: str, model: str, prompt: str, max_tokens: int, *, chat: bool
) -> tuple[int, bytes]:
    asked: dict[str, object] = {"model": model, "max_tokens": max_tokens, "temperature": 0}
    asked |= {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    path = "/v1/chat/completions" if chat else "/v1/completions"
    response = await fetch(
        base_url, path, method="POST", body=orjson.dumps(asked), timeout_s=_REQUEST_TIMEOUT_S
    )
    return response.status, response.content
