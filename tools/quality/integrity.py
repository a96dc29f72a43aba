"""Was what was asked really measured: each check says what was asked and what was seen.

What can't be checked passes and says so: silence of a server is no proof of a fault.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from knowledge.quantities import format_number, format_percent
from knowledge.statistics import paired_tokens
from knowledge.statistics.answers import new_echoes
from knowledge.types import (
    Answers,
    Check,
    EngineConfig,
    IntegrityResult,
    QualityResult,
    RequestSample,
    Workload,
)
from tools.load.sample import Recount
from tools.quality.in_force import compare, reported

_CUT = "cut"
"""Ended by the client when the round was over: no failure of the server."""
_MOST_ERRORS = 0.01
_MOST_OFF = 0.01
_INPUT_TOLERANCE = 0.02
_MOST_REPEATS = 0.1
_COMPARABLE_TOKENS = 16
_BURST_S_PER_TOKEN = 2e-4
"""No engine decodes one stream so fast: 5,000 tokens/s."""
_BURST_TOKENS = 8
_USAGE_TOLERANCE = 0.2
_LEAST_ALIKE = 0.95
_NOT_CHECKED = "не проверено"


def check(  # noqa: PLR0913 - all by name
    samples: Sequence[RequestSample],
    workload: Workload,
    *,
    model_name: str,
    served_models: Sequence[str] | None,
    in_force: Mapping[str, str],
    config: EngineConfig,
    quality: QualityResult | None = None,
    usage_known: bool = True,
    tokenizer_known: bool = True,
    chat: bool = False,
    recounts: Sequence[Recount] | None = None,
    reference: QualityResult | None = None,
    dummy_weights: bool = False,
) -> IntegrityResult:
    """All checks over one trial's samples.

    usage_known: the server counted tokens itself. tokenizer_known: asked input lengths are exact.
    chat: the server adds the tokens of a chat template. served_models: None when it lists none.
    recounts: what the load generator counted of the texts itself. reference: the same held-out
    text scored by the model that should be served, for its fingerprint.
    dummy_weights: a random model answers the same to everything.
    """
    ok = [sample for sample in samples if sample.ok]
    checks = [
        _errors(samples),
        _output_length(ok, workload, usage_known),
        _input_length(ok, tokenizer_known=tokenizer_known, chat=chat),
        _repeats(ok, workload, dummy_weights),
        _streaming(ok),
        _identity(model_name, served_models),
        _flags(config, in_force),
    ]
    if recounts is not None:
        checks.append(_usage(recounts))
    result = IntegrityResult(checks=tuple(checks))
    return result if quality is None else with_quality(result, quality, reference)


def with_quality(
    found: IntegrityResult, quality: QualityResult, reference: QualityResult | None
) -> IntegrityResult:
    """The same checks and those that need scored text, which comes after the load."""
    more = [_logprobs(quality)]
    if reference is not None:
        more.append(_fingerprint(quality, reference))
    if quality.answers is not None:
        known = reference.answers if reference else None
        more.append(_replay(quality.answers, known))
    return found.replace(checks=(*found.checks, *more))


def _errors(samples: Sequence[RequestSample]) -> Check:
    counted = [sample for sample in samples if sample.error != _CUT]
    failed = [sample.error or "" for sample in counted if not sample.ok]
    kinds = sorted(set(failed), key=lambda kind: -failed.count(kind))[:3]
    seen = f"{len(failed)} из {len(counted)}"
    return Check(
        name="Доля ошибок (error rate)",
        passed=bool(counted) and len(failed) <= _MOST_ERRORS * len(counted),
        asked=f"не больше {format_percent(_MOST_ERRORS)} запросов",
        seen=f"{seen}: {', '.join(kinds)}" if kinds else seen,
    )


def _output_length(ok: Sequence[RequestSample], workload: Workload, usage_known: bool) -> Check:
    name = "Длина ответов (output length)"
    asked = "ровно столько токенов, сколько запрошено" if workload.ignore_eos else "не больше"
    pairs = [(s.asked_output_tokens, s.output_tokens) for s in ok if s.output_tokens is not None]
    if not pairs or not usage_known:
        return _unknown(name, asked, "сервер не сообщает число токенов (usage)")
    short = sum(seen < wanted for wanted, seen in pairs)
    long = sum(seen > wanted for wanted, seen in pairs)
    off = long + (short if workload.ignore_eos else 0)
    return Check(
        name=name,
        passed=off <= _MOST_OFF * len(pairs),
        asked=f"{asked}: в среднем {_mean([wanted for wanted, _ in pairs])}",
        seen=f"в среднем {_mean([seen for _, seen in pairs])}; короче {short}, "
        f"длиннее {long} из {len(pairs)}{_stopped(ok, short)}",
    )


def _stopped(ok: Sequence[RequestSample], short: int) -> str:
    """Short answers that ended by themselves, though ignore_eos was asked for."""
    early = sum(s.finish_reason == "stop" for s in ok)
    return f"; {early} окончены по EOS (ignore_eos не действует)" if short and early else ""


def _input_length(ok: Sequence[RequestSample], *, tokenizer_known: bool, chat: bool) -> Check:
    name = "Длина запросов (input length)"
    asked = f"по usage сервера, с точностью {format_percent(_INPUT_TOLERANCE)}"
    pairs = [(s.asked_input_tokens, s.input_tokens) for s in ok if s.input_tokens is not None]
    if not pairs:
        return _unknown(name, asked, "сервер не сообщает длину запроса (usage)")
    if not tokenizer_known:
        return _unknown(name, asked, "нет токенизатора модели, длина запросов лишь оценена")
    # A chat template adds the same few tokens to every request.
    template = max(0, min(seen - wanted for wanted, seen in pairs)) if chat else 0
    off = sum(abs(seen - template - wanted) > _INPUT_TOLERANCE * wanted for wanted, seen in pairs)
    note = f", из них шаблон чата {template}" if template else ""
    return Check(
        name=name,
        passed=off <= _MOST_OFF * len(pairs),
        asked=f"{asked}: в среднем {_mean([wanted for wanted, _ in pairs])}",
        seen=f"в среднем {_mean([seen for _, seen in pairs])}{note}; расходятся {off} из "
        f"{len(pairs)}",
    )


def _repeats(ok: Sequence[RequestSample], workload: Workload, dummy_weights: bool) -> Check:
    """Greedy repetition inside an answer is a small model's habit; the same whole answer to
    different prompts is a cache's."""
    name, asked = "Ответы не повторяются (cached answers)", "на разные запросы разные ответы"
    if workload.trace_path:
        return _unknown(name, asked, "в трассе запросы могут повторяться")
    if dummy_weights:
        return _unknown(name, asked, "веса случайные, ответы могут совпасть")
    texts = [
        s.text_sha256 for s in ok if s.text_sha256 and (s.output_tokens or 0) >= _COMPARABLE_TOKENS
    ]
    if len(texts) < 2:
        return _unknown(name, asked, f"ответов от {_COMPARABLE_TOKENS} токенов: {len(texts)}")
    repeats = len(texts) - len(set(texts))
    return Check(
        name=name,
        passed=repeats <= max(1, _MOST_REPEATS * len(texts)),
        asked=f"{asked}, повторов не больше {format_percent(_MOST_REPEATS)}",
        seen=f"повторов {repeats} из {len(texts)}",
    )


def _streaming(ok: Sequence[RequestSample]) -> Check:
    name, asked = "Ответ идёт потоком (streaming)", "токены приходят по мере генерации"
    long = [s for s in ok if (s.output_tokens or 0) >= _BURST_TOKENS]
    if not long:
        return _unknown(name, asked, f"нет ответов длиннее {_BURST_TOKENS - 1} токенов")
    bursts = sum(_in_one_burst(sample) for sample in long)
    return Check(
        name=name,
        passed=bursts <= len(long) / 2,
        asked=asked,
        seen=f"одним куском в конце пришли {bursts} из {len(long)}: TTFT и ITL не измерены"
        if bursts
        else f"потоком пришли все {len(long)}",
    )


def _in_one_burst(sample: RequestSample) -> bool:
    """Text faster than any decode, and nearly the whole time of the request spent before it."""
    first, last = sample.chunk_times_s[0], sample.chunk_times_s[-1]
    waited, whole = first - sample.sent_s, last - sample.sent_s
    at_once_s = _BURST_S_PER_TOKEN * (sample.output_tokens or 0)
    return last - first < at_once_s and waited > 0.8 * whole


def _identity(model_name: str, served_models: Sequence[str] | None) -> Check:
    name = "Модель (model identity)"
    if served_models is None:
        return _unknown(name, model_name, "сервер не сообщает список моделей")
    return Check(
        name=name,
        passed=model_name in served_models,
        asked=model_name,
        seen=", ".join(served_models) or "ни одной модели",
    )


def _flags(config: EngineConfig, in_force: Mapping[str, str]) -> Check:
    name = "Флаги в силе (flags in force)"
    settings: dict[str, Any] = {**config.flags, **config.env}
    if not settings:
        return Check(name=name, passed=True, asked="без флагов", seen="настройки по умолчанию")
    verdicts = compare(config, in_force)
    wrong = [f"{n}={reported(n, in_force)}" for n, agrees in verdicts.items() if agrees is False]
    silent = [n for n, agrees in verdicts.items() if agrees is None]
    agreeing = len(verdicts) - len(wrong) - len(silent)
    parts = [f"расходятся: {', '.join(wrong)}"] if wrong else []
    parts += [f"совпали: {agreeing}"] if agreeing else []
    parts += [f"{_NOT_CHECKED}, движок не сообщает: {', '.join(silent)}"] if silent else []
    return Check(
        name=name,
        passed=not wrong,
        asked=", ".join(f"{n}={value}" for n, value in settings.items()),
        seen="; ".join(parts),
    )


def _logprobs(quality: QualityResult) -> Check:
    """A server that makes up log-probabilities gives the same few again and again."""
    values = [value for chunk in quality.chunk_logprobs for value in chunk]
    distinct = len(set(values))
    return Check(
        name="Оценка текста (log-probabilities)",
        passed=distinct >= 0.05 * len(values),
        asked="своё значение у каждого токена текста",
        seen=f"{distinct} разных из {len(values)}, "
        f"perplexity {format_number(quality.perplexity, 2)}",
    )


def _usage(recounts: Sequence[Recount]) -> Check:
    """A server that claims more tokens than it sends looks faster than it is.

    Some tokens have no text (special ones, halves of a character), and a chunk may hold several
    tokens: an honest count is near the text's or near the number of chunks.
    """
    name = "Счёт токенов (usage)"
    asked = f"usage сходится с текстом ответа, с точностью {format_percent(_USAGE_TOLERANCE)}"
    long = [r for r in recounts if r.claimed >= _COMPARABLE_TOKENS]
    if not long:
        return _unknown(name, asked, "нет токенизатора модели или длинных ответов")
    over = sum(r.claimed * (1 - _USAGE_TOLERANCE) > max(r.counted, r.chunks) for r in long)
    under = sum(r.counted * (1 - _USAGE_TOLERANCE) > r.claimed for r in long)
    return Check(
        name=name,
        passed=over + under <= _MOST_REPEATS * len(long),
        asked=asked,
        seen=f"заявлено в среднем {_mean([r.claimed for r in long])}, в тексте "
        f"{_mean([r.counted for r in long])}; завышено {over}, занижено {under} из {len(long)}",
    )


def _fingerprint(quality: QualityResult, reference: QualityResult) -> Check:
    """Which tokens a model finds surprising is its own: quantizing moves them a little all over,
    another model moves them here and there."""
    name, asked = (
        "Отпечаток модели (logit fingerprint)",
        f"корреляция от {format_number(_LEAST_ALIKE, 2)}",
    )
    pairs = paired_tokens(quality, reference)
    if not pairs:
        return _unknown(name, asked, "оценены разные тексты")
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    if len(pairs) < 2 or len(set(ours)) < 2 or len(set(theirs)) < 2:
        return _unknown(name, asked, "оценок слишком мало")
    alike = statistics.correlation(ours, theirs)
    return Check(
        name=name,
        passed=alike >= _LEAST_ALIKE,
        asked=asked,
        seen=f"{format_number(alike, 3)} по {len(pairs)} токенам",
    )


def _replay(answers: Answers, known: Answers | None) -> Check:
    """What no model does: the same text twice at a high temperature, or to other prompts.

    A weak model may answer two prompts alike: without a reference that does not, it is no proof.
    """
    echoed = new_echoes(known, answers) if known else []
    name = "Ответы порождает модель (replayed answers)"
    asked = "при temperature 1,5 разные тексты, на разные запросы разные ответы"
    if answers.replayed is None and not echoed:
        return _unknown(name, asked, "контрольные ответы слишком коротки")
    said = ["дважды пришёл один и тот же текст"] if answers.replayed else []
    said += [f"один ответ на два запроса: {pair}" for pair in echoed[:2]]
    return Check(name=name, passed=not said, asked=asked, seen="; ".join(said) or "так и есть")


def _unknown(name: str, asked: str, why: str) -> Check:
    return Check(name=name, passed=True, asked=asked, seen=f"{_NOT_CHECKED}: {why}")


def _mean(values: Sequence[int]) -> str:
    return format_number(sum(values) / len(values), 1)
