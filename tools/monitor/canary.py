"""Our own small request: what a user would feel, also where the engine tells nothing of itself."""

import asyncio
import random
from dataclasses import dataclass

from knowledge.presets import preset
from tools.load import Prompt, Target
from tools.load.session import Session

_OUTPUT_TOKENS = 16
_QUESTION = "Reply with a short list of colours. Number: "
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Canary:
    """One answer: None where there was no figure to take."""

    ok: bool
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    error: str | None = None


async def sing(target: Target, seed: int) -> Canary:
    """Ask once. Each asks with another number, or a prefix cache would answer."""
    number = random.Random(seed).randrange(10**9)
    text = f"{number}. {_QUESTION}{number}."
    prompt = Prompt(text, 20, _OUTPUT_TOKENS, messages=({"role": "user", "content": text},))
    session = Session(target, preset("chat"))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await session.ask(prompt)
    except TimeoutError:
        return Canary(ok=False, error="timeout")
    finally:
        await session.close()
    if answer.error or not answer.chunks:
        return Canary(ok=False, error=answer.error or "empty")
    first, last = answer.chunks[0].at, answer.chunks[-1].at
    tokens = answer.output_tokens or len(answer.chunks)
    return Canary(
        ok=True,
        ttft_ms=(first - answer.sent) * 1000,
        tpot_ms=(last - first) / (tokens - 1) * 1000 if tokens > 1 else None,
    )
