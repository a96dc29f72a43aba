"""The answers as tools for an LLM: typed arguments in, the calculated text and its figures out."""

import json
from typing import Any

from advisor.consultation.answers import modules
from advisor.consultation.checks import check
from advisor.consultation.question import Question
from advisor.consultation.understanding.frame import Frame, inherit
from advisor.consultation.understanding.reading import read
from advisor.consultation.writing import Draft
from knowledge.errors import AdvisorError

_WHAT = {
    "fit": "Whether a model fits on devices: weights, KV cache, what helps when it does not",
    "kv_cache": "Size of the KV cache per token and for a load",
    "concurrency": "How many requests fit at once, or how many devices hold so many",
    "speed": "Predicted TTFT, TPOT and tokens/s with 90 % intervals, and the roofline",
    "gpu_choice": "Deployments that hold the load and meet the goals, by price",
    "gpu_facts": "Facts of a GPU, or two GPUs compared",
    "precision": "Which number format for a model on a GPU",
    "format_support": "Whether a GPU computes in a number format",
    "batching": "Batch size, max-num-seqs, the memory-bound limit",
    "parallel": "TP, PP, DP, EP layout",
    "cost": "Price of 1M tokens, of a month, of a GPU hour",
    "break_even": "Own GPU against an API; payback of a tuning",
    "spot": "Expected saving on spot instances",
    "volume": "Tokens per day to tokens/s and whether a deployment makes it",
    "arithmetic": "TTFT, TPOT, E2E and Little's law from given numbers",
    "launch": "The launch command",
    "diagnosis": "Likely causes of a latency, memory or quality problem",
    "knowledge": "What a technique or a term is and when it helps (retrieval over the cards)",
    "versus": "Two techniques, methods or engines compared",
    "sessions": "Measured sessions of this advisor",
}
_NUMBERS = (
    "gpu_count",
    "context_tokens",
    "input_tokens",
    "output_tokens",
    "concurrency",
    "requests_per_s",
    "tokens_per_s",
    "tokens_per_day",
    "ttft_ms",
    "tpot_ms",
    "e2e_ms",
)


def schemas() -> list[dict[str, Any]]:
    """The tools as an OpenAI-compatible endpoint wants them."""
    properties: dict[str, Any] = {
        "question": {
            "type": "string",
            "description": "The question in Russian with its names and numbers, as the user put it",
        },
        "model": {"type": "string"},
        "gpu": {"type": "string"},
        "weights": {"type": "string", "enum": ["bf16", "fp16", "fp8", "int8", "int4", "nvfp4"]},
        "kv": {"type": "string", "enum": ["bf16", "fp8"]},
        **{name: {"type": "number"} for name in _NUMBERS},
    }
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": what,
                "parameters": {
                    "type": "object",
                    "properties": properties,
                    "required": ["question"],
                },
            },
        }
        for name, what in _WHAT.items()
    ]


async def call(name: str, arguments: str, question: Question) -> Draft:
    """Run one tool; what is wrong with its arguments stands in the draft for the LLM to read."""
    draft = Draft(language=question.language)
    if name not in _WHAT:
        draft.warn(f"Нет инструмента {name}; есть: {', '.join(_WHAT)}")
        return draft
    try:
        given = json.loads(arguments or "{}")
        asked = _question(given if isinstance(given, dict) else {}, question)
        await modules()[name].write(asked, draft)
        check(asked, draft)
    except (ValueError, AdvisorError, IndexError, AssertionError, KeyError) as error:
        draft.warn(
            f"Не посчитано: {' '.join(str(error).split()) or 'не хватает модели, GPU или чисел'}"
        )
    return draft


def _question(given: dict[str, Any], question: Question) -> Question:
    """The tool's arguments over what the conversation said."""
    text = str(given.get("question") or question.raw)
    own, _ = inherit(_typed(given), read(text))
    frame, taken = inherit(own, question.frame)
    from advisor.consultation.understanding.text import normalize

    return Question(
        raw=text,
        text=normalize(text),
        frame=frame,
        own=own,
        services=question.services,
        language=question.language,
        inherited=taken,
        history=question.history,
    )


def _typed(given: dict[str, Any]) -> Frame:
    count = f"{int(given['gpu_count'])} x " if given.get("gpu_count") and given.get("gpu") else ""
    names = read(
        ", ".join(
            part
            for part in (str(given.get("model") or ""), count + str(given.get("gpu") or ""))
            if part.strip()
        )
    )
    values = {
        name: getattr(names, name)
        for name in ("models", "model_text", "parameters", "gpus", "gpu_counts", "unknown")
    }
    values["gpu_count"] = int(given["gpu_count"]) if given.get("gpu_count") else None
    for name in (*_NUMBERS[1:], "weights", "kv"):
        if given.get(name) is not None:
            whole = name.endswith("_tokens") or name == "concurrency"
            values[name] = round(float(given[name])) if whole else given[name]
    return Frame(**values)
