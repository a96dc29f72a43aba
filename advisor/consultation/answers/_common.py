"""What several answers share: naming a setting, its sources, asking back, offering a session."""

from collections.abc import Sequence

from advisor.consultation.calculators.memory import fewest, kv_per_token
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting
from advisor.consultation.writing import Draft
from advisor.report.numbers import NBSP
from knowledge.devices import CatalogDevice, require_gpu
from knowledge.gguf import file_bytes, gguf_bits, quant_type
from knowledge.known_models import Architecture
from knowledge.prediction import Prediction
from knowledge.provenance import Provenance

_SHORT_CONTEXT = 2048
_LLAMACPP_BYTES = 0.7e9
"""Buffers and context of llama.cpp on each device, about."""


def devices(draft: Draft, gpu: CatalogDevice, count: int) -> str:
    """«4 × NVIDIA H100 SXM 80GB»."""
    return gpu.name if count == 1 else f"{count}{NBSP}×{NBSP}{gpu.name}"


def assumptions(draft: Draft, setting: Setting, *, skip: tuple[str, ...] = ()) -> None:
    """The defaults of a setting, without those that this answer does not use."""
    for assumed in setting.assumed:
        if not any(word in assumed.ru for word in skip):
            draft.assume(assumed.ru, assumed.en)


def cite_model(draft: Draft, model: Architecture | None) -> None:
    if model is None:
        return
    source = _best(model.provenance)
    draft.cite(
        f"{model.hub}, config.json: {source.title}",
        source.date.isoformat(),
        "" if source.checked else source.note,
    )


def cite_gpu(draft: Draft, gpu: CatalogDevice | None) -> None:
    if gpu is None:
        return
    source = _best(gpu.provenance)
    draft.cite(
        f"{gpu.name}: {source.title}",
        source.date.isoformat(),
        "" if source.checked else source.note,
    )


def _best(sources: Sequence[Provenance]) -> Provenance:
    """A source that was read, before one that was remembered."""
    return next((source for source in sources if source.checked), sources[0])


def cite_setting(draft: Draft, setting: Setting) -> None:
    cite_model(draft, setting.subject.known)
    cite_gpu(draft, setting.gpu)


def forecast(question: Question, setting: Setting) -> Prediction:
    """The prediction with every measurement that is known here: our own trials and others'."""
    from advisor.prediction import predict

    measured = question.services.measured
    return predict(setting.query, measured() if measured else ())


def cite_prediction(draft: Draft, prediction: Prediction) -> None:
    """The nearest measurements that were made of such a deployment."""
    for neighbour in prediction.neighbours[:2]:
        seen = neighbour.observation
        figures = [
            f"TTFT {draft.ms(seen.ttft_ms)}" if seen.ttft_ms else "",
            f"TPOT {draft.ms(seen.tpot_ms)}" if seen.tpot_ms else "",
        ]
        where = (
            draft.say("измерено здесь", "measured here")
            if seen.source == "here"
            else draft.say("измерено другими", "measured elsewhere")
        )
        differs = (
            f"; {draft.say('отличается', 'differs in')}: {', '.join(neighbour.differs_in)}"
            if neighbour.differs_in
            else ""
        )
        draft.cite(
            f"{where}: {seen.model}, {seen.device}, {seen.engine}, {seen.weight_dtype},"
            f" {seen.concurrency:g} × {seen.input_tokens:g}/{seen.output_tokens:g}:"
            f" {', '.join(f for f in figures if f)}{differs}",
            seen.measured_on,
            seen.reference,
        )
    for note in prediction.notes[:2]:
        draft.assume(note)


def gguf_size(question: Question, setting: Setting, draft: Draft) -> None:
    """A GGUF quant type is no round number of bits: its file's size, and what remains for KV."""
    name = quant_type(question.text)
    if name is None or "gguf" not in question.frame.methods:
        return
    size = file_bytes(setting.facts.parameters, name)
    title, table = name.upper(), gguf_bits()
    draft.note_figure("gguf_bytes", size)
    text = (
        f"В GGUF {title} файл {setting.subject.title} весит **{draft.num(size / 1e9, 1)} ГБ**"
        f" ({draft.gib(size)}): {draft.num(table.bits[name], 2)} бита на вес с масштабами."
    )
    if setting.gpu is not None:
        whole = setting.gpu.device.memory_bytes * setting.count
        rest = whole - size - _LLAMACPP_BYTES * setting.count
        tokens = max(0, int(rest / kv_per_token(setting)))
        text += (
            f" На {devices(draft, setting.gpu, setting.count)} это **помещается**: в llama.cpp под"
            f" KV cache остаётся около {draft.gib(rest)}, то есть {draft.num(tokens, 0)} токенов"
            " контекста на всех."
            if rest > 0
            else f" На {devices(draft, setting.gpu, setting.count)} ({draft.gib(whole)}) файл"
            " целиком **не помещается**: часть слоёв останется на CPU (`-ngl`), и"
            " генерация станет в разы медленнее."
        )
    draft.lead(text, f"{title}: {size / 1e9:.1f} GB.")
    draft.cite(table.provenance[0].title, table.provenance[0].date.isoformat())


def llamacpp_room(setting: Setting, draft: Draft) -> None:
    """What does not fit in vLLM at 4 bits may fit in llama.cpp, which takes little for itself."""
    if setting.gpu is None or setting.weights != "int4" or setting.count > 4:
        return
    size = file_bytes(setting.facts.parameters, "q4_k_m")
    rest = setting.gpu.device.memory_bytes * setting.count - size - _LLAMACPP_BYTES * setting.count
    tokens = int(rest / kv_per_token(setting))
    if tokens < _SHORT_CONTEXT:
        return
    draft.lead(
        f"Это в vLLM. **В llama.cpp (GGUF Q4_K_M, файл {draft.gib(size)}) влезает впритык:** под"
        f" KV cache остаётся {draft.gib(rest)}, около {draft.num(tokens, 0)} токенов контекста на"
        " всех, для одного пользователя.",
        f"That is vLLM; in llama.cpp (GGUF Q4_K_M) it just fits, with {tokens} tokens of context.",
    )


def ask(draft: Draft, ru: str, en: str) -> None:
    """Ask back for what is missing."""
    draft.lead(ru, en)
    draft.note_figure("asked_back", 1)


def offer_session(draft: Draft, question: Question, *, engine: str = "vllm", slo: str = "") -> None:
    """How to have it measured instead of predicted."""
    model = question.models[0].hub if question.models else "MODEL"
    load = f" --concurrency {question.frame.concurrency}" if question.frame.concurrency else ""
    command = f"advisor optimize {model} --engine {engine}{load}{slo}"
    draft.offer(
        f"Это можно измерить на вашей машине: `{command}`; сессия сравнит варианты, проверит"
        " качество и даст интервалы.",
        f"This can be measured on your machine: `{command}`.",
    )


def needs_model(draft: Draft) -> None:
    ask(
        draft,
        "Какая модель (имя или число параметров) и на какой GPU? Без этого числа не посчитать."
        " Напишите, например: «Llama-3.1-8B в FP8 на одной H100, контекст 8к, 32 запроса».",
        "Which model (name or size) on which GPU? For example: “Llama-3.1-8B in FP8 on one H100, 8k"
        " context, 32 requests”.",
    )


def usual_gpu(setting: Setting, question: Question, draft: Draft) -> Setting:
    """No device was named: the fewest H100 that hold the model, and a line that says so."""
    gpu = require_gpu("h100-sxm")
    tried = setting.change(gpu=gpu)
    least = fewest(tried)
    count = question.frame.devices or (least[0] if least else 8)
    draft.assume(
        f"GPU не названа: считаю для {count} × {gpu.name}; назовите свою — пересчитаю",
        f"no GPU was named: {count} × {gpu.name}",
    )
    return tried.change(count=count)
