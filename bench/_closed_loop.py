"""A server on paper under a closed loop: continuous batching step by step, on a noisy machine.

Every step gives each running request one token and reads the prompts that wait; a finished stream
sends its next request at once. So token counts swing as they do in front of a real engine: steps
that read prompts are longer, and streams of like lengths move in waves.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from knowledge.types import RequestSample


@dataclass(frozen=True)
class Machine:
    """How far the same server's speed strays from itself, relative and on the log scale."""

    jitter: float = 0.05
    """Slowly wandering speed within a round."""
    jitter_s: float = 0.7
    """How long it remembers."""
    step_jitter: float = 0.05
    """From one step to the next."""
    round_cv: float = 0.01
    launch_cv: float = 0.015
    drift_per_round: float = 0.0
    """Common to both arms: a machine that grows slower."""


@dataclass(frozen=True)
class Server:
    """The defaults are about SmolLM2-135M on two cores: 200 tokens/s at eight streams."""

    streams: int = 8
    step_s: float = 0.018
    per_sequence_s: float = 0.001
    per_prompt_token_s: float = 0.0008
    input_tokens: tuple[int, int] = (102, 154)
    output_tokens: tuple[int, int] = (51, 77)
    in_step: bool = False
    """All streams begin with a whole answer, so they stay in a wave."""

    def faster(self, by: float) -> "Server":
        """All its work takes less time: so many times the throughput."""
        return replace(
            self,
            step_s=self.step_s / by,
            per_sequence_s=self.per_sequence_s / by,
            per_prompt_token_s=self.per_prompt_token_s / by,
        )


class _Wander:
    """Log speed: an AR(1) in continuous time (Ornstein-Uhlenbeck) and white noise per step."""

    def __init__(self, machine: Machine, rng: np.random.Generator) -> None:
        self._machine, self._rng = machine, rng
        self._at = rng.normal(0, machine.jitter)
        self._normals: list[float] = []

    def slowness(self, dt_s: float) -> float:
        if len(self._normals) < 2:
            self._normals = self._rng.standard_normal(2048).tolist()
        machine = self._machine
        keep = math.exp(-dt_s / machine.jitter_s)
        fresh = machine.jitter * math.sqrt(1 - keep * keep)
        self._at = keep * self._at + fresh * self._normals.pop()
        return math.exp(self._at + machine.step_jitter * self._normals.pop())


def round_of(
    server: Server,
    machine: Machine,
    rng: np.random.Generator,
    *,
    round_s: float,
    index: int = 0,
    speed: float = 1.0,
) -> list[RequestSample]:
    """The samples of one round. `speed` is that of the launch and of the round together."""
    wander, now, count = _Wander(machine, rng), 0.0, server.streams
    sent, left = [0.0] * count, [0] * count
    asked, inputs = [0] * count, [0] * count
    times: list[list[float]] = [[] for _ in range(count)]
    waiting: list[int] = list(range(count))
    for stream in range(count):
        inputs[stream] = int(rng.integers(*server.input_tokens, endpoint=True))
        whole = int(rng.integers(*server.output_tokens, endpoint=True))
        share = 1.0 if server.in_step else (stream + 1) / count
        asked[stream] = left[stream] = math.ceil(share * whole)
    running: list[int] = []
    samples: list[RequestSample] = []
    while running or waiting:
        prompt = sum(inputs[stream] for stream in waiting)
        running, waiting = running + waiting, []
        cost = (
            server.step_s
            + server.per_sequence_s * len(running)
            + server.per_prompt_token_s * prompt
        ) / speed
        now += cost * wander.slowness(cost)
        still = []
        for stream in running:
            times[stream].append(now)
            left[stream] -= 1
            if left[stream]:
                still.append(stream)
                continue
            samples.append(_sample(len(samples), index, stream, sent, times, inputs, asked))
            if now < round_s:
                sent[stream], times[stream] = now, []
                inputs[stream] = int(rng.integers(*server.input_tokens, endpoint=True))
                whole = int(rng.integers(*server.output_tokens, endpoint=True))
                asked[stream] = left[stream] = whole
                waiting.append(stream)
        running = still
    return samples


def _sample(
    number: int,
    index: int,
    stream: int,
    sent: list[float],
    times: list[list[float]],
    inputs: list[int],
    asked: list[int],
) -> RequestSample:
    # Not validated: ten thousands of them are made, and their types are known.
    return RequestSample.model_construct(
        index=number,
        round=index,
        stream=stream,
        intended_s=sent[stream],
        sent_s=sent[stream],
        first_token_s=times[stream][0],
        last_token_s=times[stream][-1],
        end_s=times[stream][-1],
        asked_input_tokens=inputs[stream],
        asked_output_tokens=asked[stream],
        input_tokens=inputs[stream],
        output_tokens=asked[stream],
        chunk_times_s=tuple(times[stream]),
        chunk_tokens=(1,) * asked[stream],
    )
