"""What several answers share: naming a setting, its sources, asking back, offering a session."""

from collections.abc import Sequence

from advisor.consultation.calculators.memory import fewest
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting
from advisor.consultation.writing import Draft
from advisor.report.numbers import NBSP
from knowledge.devices import CatalogDevice, require_gpu
from knowledge.known_models import Architecture
from knowledge.prediction import Prediction
from knowledge.provenance import Provenance


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
