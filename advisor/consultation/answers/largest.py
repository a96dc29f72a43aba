"""The largest model that fits on what there is."""

from advisor.consultation.answers._common import ask, cite_gpu, devices
from advisor.consultation.answers.fit import by_memory
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, Subject
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.known_models import known_architectures

EXAMPLES = (
    "какую самую большую модель запущу на карта",
    "какая модель влезет в # гб",
    "какую модель посоветуешь для карта",
    "что можно запустить на карта",
    "у меня карта какую модель взять",
    "what is the largest model for карта",
)


def score(question: Question) -> float:
    asked = question.has(
        r"(сам\w+"
        r" (больш|крупн|жирн)|максим\w+|наибольш|кру?пнейш|larges?t|biggest|предел|как(ую|ая|ие|ой)"
        r" (модел|llm|нейрос))[^.?]{0,45}"
    )
    names = (
        question.has(r"модел|llm|нейрос|model")
        and not question.frame.models
        and not question.frame.parameters
    )
    where = question.frame.gpus or question.frame.gpu_memory_gb
    return 8.5 if asked and names and where else 0


async def write(question: Question, draft: Draft) -> None:
    gpu = question.gpus[0] if question.gpus else by_memory(question.frame.gpu_memory_gb or 0)
    if gpu is None:
        ask(draft, "Сколько памяти у карты и сколько карт?", "How much memory does the card have?")
        return
    count = question.frame.devices or 1
    scheme = question.frame.weights or "int4"
    context = question.frame.context_tokens or 4096
    fitting = []
    for model in known_architectures().values():
        if model.facts.quantization and scheme not in ("int4", model.facts.quantization):
            continue
        setting = Setting(
            Subject(model.title, model.facts, model),
            scheme,
            question.frame.kv or "bf16",
            gpu,
            count,
            context,
            max(1, context - 256),
            256,
        )
        found = room(setting)
        if found.loads:
            fitting.append((model.facts.parameters, model.title, found))
    fitting.sort(key=lambda item: -item[0])
    if not fitting:
        draft.lead("Ни одна модель каталога не помещается.", "No model of the catalog fits.")
        return
    _, title, found = fitting[0]
    rest = ", ".join(f"{t} ({draft.gib(f.weights_bytes)})" for _, t, f in fitting[1:5])
    draft.lead(
        f"Самая крупная модель каталога, которая помещается на {devices(draft, gpu, count)} в"
        f" {LABELS[scheme]}, — **{title}**: веса {draft.gib(found.weights_bytes)} из"
        f" {draft.gib(found.usable_bytes)}, одновременно"
        f" {plural(found.most, 'запрос', 'запроса', 'запросов')} по {draft.num(context, 0)}"
        f" токенов. Следом: {rest}.",
        f"The largest catalog model that fits on {devices(draft, gpu, count)} in {LABELS[scheme]}"
        f" is **{title}**: weights {draft.gib(found.weights_bytes)} of"
        f" {draft.gib(found.usable_bytes)}. Next: {rest}.",
    )
    draft.add(
        "Для нескольких одновременных запросов берите модель на ступень меньше: память под KV cache"
        " делится между ними."
    )
    draft.work(
        f"предел по весам: ({draft.gib(gpu.device.memory_bytes * count)} × 0,9 − движок около 2–3"
        f" ГиБ − KV cache) / {LABELS[scheme]}-байт на параметр"
    )
    if not question.frame.context_tokens:
        draft.assume(f"контекст {context} токенов", f"context {context} tokens")
    if not question.frame.weights:
        draft.assume("веса в INT4", "weights in INT4")
    cite_gpu(draft, gpu)
