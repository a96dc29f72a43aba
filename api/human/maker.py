"""Makes the pairs: both configurations answer the user's prompts, one after the other."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from advisor import outcome
from api.errors import ApiError
from api.service import Service
from knowledge.errors import AdvisorError, BadInput
from knowledge.types import AnswerPair, HumanEvaluation, TrialSpec
from tools.answers import answers
from tools.preparing import World
from tools.store import SessionRecord

_LOG = logging.getLogger("advisor.human")
MOST_PROMPTS = 200
MOST_CHARACTERS = 20_000
MOST_TOKENS = 2048


@dataclass
class Making:
    """How far it is."""

    total: int
    done: int = 0
    started: bool = False
    error: str = ""


class Makers:
    """One making per session at a time, on a lane of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._makings: dict[str, Making] = {}

    def get(self, session: str) -> Making | None:
        return self._makings.get(session)

    async def start(self, session: str, prompts: Sequence[str], max_tokens: int) -> None:
        """Queue the work. Raises ApiError 409 where there is nothing to compare."""
        record = await self._service.record(session)
        specs = sides(record)
        going = self._makings.get(session)
        if going and not going.error:
            raise ApiError(409, "already_making", "Ответы для этой сессии уже готовятся")
        self._makings[session] = Making(total=2 * len(prompts))

        async def work(lane: int) -> None:
            await self._work(session, specs, tuple(prompts), max_tokens, lane)

        self._service.lanes.errand(work)

    async def _work(
        self, session: str, specs: tuple[TrialSpec, TrialSpec], prompts: tuple[str, ...],
        max_tokens: int, lane: int,
    ) -> None:  # fmt: skip
        making = self._makings[session]
        making.started = True
        try:
            found = [
                await self._answers(session, spec, prompts, max_tokens, lane, number)
                for number, spec in enumerate(specs)
            ]
        except AdvisorError as error:
            making.error = str(error)
            _LOG.warning("evaluation of %s: %s", session, error)
            return
        except BaseException:
            making.error = "прервано"
            raise
        made = HumanEvaluation(
            evaluation=f"e-{secrets.token_hex(6)}",
            baseline_trial_id=specs[0].trial_id,
            candidate_trial_id=specs[1].trial_id,
            decoding=f"temperature 0, до {max_tokens} токенов",
            pairs=tuple(
                AnswerPair(pair=secrets.token_hex(6), prompt=prompt, baseline=one, candidate=two)
                for prompt, one, two in zip(prompts, *found, strict=True)
            ),
        )
        await asyncio.to_thread(self._service.store.put_evaluation, session, made)
        del self._makings[session]

    async def _answers(
        self, session: str, spec: TrialSpec, prompts: tuple[str, ...], max_tokens: int, lane: int,
        number: int,
    ) -> tuple[str, ...]:  # fmt: skip
        service, making = self._service, self._makings[session]
        world = World(
            service.home, service.hardware, service.home.session_dir(session) / "logs", _LOG.info
        )

        def told(done: int) -> None:
            making.done = number * len(prompts) + done

        env = service.lanes.device_env(lane)
        return await answers(spec, prompts, world, max_tokens=max_tokens, env=env, told=told)


def sides(record: SessionRecord) -> tuple[TrialSpec, TrialSpec]:
    """The default and the winner. Raises ApiError 409 while there are not both."""
    default, winner = outcome.default(record), outcome.winner(record)
    if record.production is None or default is None or winner is None:
        raise ApiError(
            409, "nothing_to_compare", "Сравнивать нечего: сессия не нашла лучшей конфигурации",
            "Оценка людьми сравнивает движок по умолчанию с найденной конфигурацией",
        )  # fmt: skip
    return default.spec, winner.spec


def prompts_of(text: str) -> list[str]:
    """Prompts parted by lines of three dashes; without such a line, one per line."""
    lines = text.replace("\r\n", "\n").split("\n")
    if any(line.strip() == "---" for line in lines):
        blocks = "\n".join("\0" if line.strip() == "---" else line for line in lines).split("\0")
    else:
        blocks = lines
    found = list(dict.fromkeys(block.strip() for block in blocks if block.strip()))
    if not found:
        raise BadInput("нет ни одного prompt", "Впишите хотя бы один, каждый с новой строки")
    if len(found) > MOST_PROMPTS:
        raise BadInput(f"prompts слишком много: {len(found)}", f"Не больше {MOST_PROMPTS}")
    if max(map(len, found)) > MOST_CHARACTERS:
        raise BadInput("prompt слишком длинный", f"Не больше {MOST_CHARACTERS} символов")
    return found
