"""Workloads by name. A preset is a typical shape to start from; a user's own trace is better."""

from difflib import get_close_matches

from knowledge.errors import BadWorkload
from knowledge.types import (
    Arrival,
    ClosedLoop,
    Constant,
    Conversation,
    Lengths,
    Phase,
    Phased,
    Poisson,
    Workload,
)


def _workload(
    name: str,
    arrival: Arrival,
    inputs: tuple[int, int],
    outputs: tuple[int, int],
    note: str,
    *,
    shared_prefix_tokens: int = 0,
) -> Workload:
    return Workload(
        name=name,
        arrival=arrival,
        input_tokens=Lengths(low=inputs[0], high=inputs[1]),
        output_tokens=Lengths(low=outputs[0], high=outputs[1]),
        shared_prefix_tokens=shared_prefix_tokens,
        note=note,
    )


def _inference_bench(letter: str, arrival: Arrival, shape: tuple[int, int], note: str) -> Workload:
    """InferenceBench draws lengths uniformly from [0.8 L, L] and ignores the end of text."""
    inputs, outputs = ((round(0.8 * length), length) for length in shape)
    return _workload(f"inferencebench-{letter}", arrival, inputs, outputs, note)


def _closed(concurrency: int) -> ClosedLoop:
    return ClosedLoop(concurrency=concurrency)


_ALL = (
    _workload("demo", _closed(8), (51, 77), (26, 38), "64 ± 20 % in, 32 ± 20 % out, 8 потоков"),
    _workload(
        "chat",
        _closed(16),
        (256, 1024),
        (128, 384),
        "Диалог: общий system prompt, ответы средней длины",
        shared_prefix_tokens=128,
    ),
    _workload(
        "rag",
        _closed(8),
        (2048, 6144),
        (128, 384),
        "Ответ по найденным документам: длинный вход, короткий выход",
        shared_prefix_tokens=256,
    ),
    _workload("code", _closed(8), (512, 2048), (32, 128), "Дополнение кода: важен TTFT"),
    _workload("batch", _closed(64), (512, 1536), (128, 512), "Пакетная обработка: throughput"),
    _workload(
        "agent",
        _closed(8),
        (4096, 12288),
        (64, 512),
        "Шаги агента: длинная общая часть контекста (инструменты, история)",
        shared_prefix_tokens=3072,
    ),
    _inference_bench("a", _closed(1), (8192, 1024), "InferenceBench A: один поток, TTFT"),
    _inference_bench("b", _closed(1), (1024, 8192), "InferenceBench B: один поток, TPOT"),
    _inference_bench(
        "c",
        Phased(
            phases=(
                Phase(share=1 / 3, burst=64),
                Phase(share=1 / 3, arrival=Poisson(rate_per_s=32, max_in_flight=32)),
                Phase(share=1 / 3, arrival=Constant(rate_per_s=16, max_in_flight=16)),
            )
        ),
        (1024, 1024),
        "InferenceBench C: залп из 64, затем Poisson 32/s не более 32 сразу, затем ровно 16/s не "
        "более 16; что каждая часть длится треть замера, решили мы",
    ),
    _workload(
        "multi-turn",
        _closed(8),
        (128, 512),
        (64, 256),
        "Диалог из 3–6 реплик: каждая повторяет всё прежнее; человек читает в среднем 2 с",
        shared_prefix_tokens=96,
    ).replace(
        conversation=Conversation(
            turns=Lengths(low=3, high=6), added_tokens=Lengths(low=24, high=160), think_s=2.0
        )
    ),
    _workload(
        "agent-loop",
        _closed(4),
        (1536, 4096),
        (32, 192),
        "Агент с инструментами: 4–10 шагов, каждый добавляет ответ инструмента; паузы по 0,5 с",
        shared_prefix_tokens=1024,
    ).replace(
        conversation=Conversation(
            turns=Lengths(low=4, high=10), added_tokens=Lengths(low=64, high=1024), think_s=0.5
        )
    ),
    _inference_bench("d", _closed(4), (4096, 2048), "InferenceBench D: 4 потока"),
)

PRESETS: dict[str, Workload] = {workload.name: workload for workload in _ALL}


def preset(name: str) -> Workload:
    """The workload of that name. Raises BadWorkload with the nearest names."""
    workload = PRESETS.get(name.strip().lower())
    if workload is None:
        near = get_close_matches(name.lower(), PRESETS, n=3, cutoff=0.5)
        raise BadWorkload(
            f"неизвестная нагрузка «{name}»",
            f"Есть: {', '.join(near or PRESETS)}; или дайте файл .jsonl",
        )
    return workload
