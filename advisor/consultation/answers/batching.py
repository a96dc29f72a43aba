"""Batch size and the scheduler's limits."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import (
    assumptions,
    cite_gpu,
    cite_prediction,
    cite_setting,
    offer_session,
)
from advisor.consultation.calculators import speed
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.objectives import default_objectives
from knowledge.prediction.model import predict_many

EXAMPLES = (
    "какой batch size выбрать",
    "какой max-num-seqs поставить для модели на карта",
    "оптимальный размер батча",
    "до какого батча decode memory bound",
)


def score(question: Question) -> float:
    if question.has(r"max[-_ ]num[-_ ](seqs|batched)|макс\w* батч"):
        return 9.2
    if question.has(
        r"(оптимальн\w*|какой|какого|лучший|размер|подобр\w+|выбрать|best|optimal)[^.?]{0,25}(батч|batch|бач)|(батч|batch)\w*[^.?]{0,25}(оптим|выбра|поставить|memory.bound|compute.bound|упира)"
    ):
        return 9
    return (
        8.6 if question.has(r"до какого (batch|батч)|memory.bound") and question.frame.gpus else 0
    )


async def write(question: Question, draft: Draft) -> None:
    if question.has(r"max[-_ ]num[-_ ]batched"):
        _notes.write("max-num-batched-tokens", draft)
        draft.offer(
            "Значение подбирается замером: `advisor optimize MODEL` переберёт его под ваш SLO."
        )
        return
    if question.gpus:
        _ridge(question, draft)
    setting = resolve(question.frame)
    if setting is not None and setting.gpu is not None:
        _sweep(question, setting, draft)
    if question.has(r"max[-_ ]num[-_ ]seqs") or not question.gpus:
        _notes.write("max-num-seqs", draft)
    if not draft.result and not question.gpus:
        draft.offer(
            "Назовите модель, GPU и длину запросов — посчитаю, какой batch держит память и SLO."
        )


def _ridge(question: Question, draft: Draft) -> None:
    gpu = question.gpus[0]
    weights = question.frame.weights or ("bf16" if gpu.native("bfloat16") else "fp16")
    compute = {"fp8": "fp8", "int8": "int8"}.get(
        weights, "bfloat16" if gpu.native("bfloat16") else "float16"
    )
    if compute not in gpu.device.flops_per_s:
        compute = "bfloat16"
    ridge = speed.ridge(gpu.device.flops_per_s, gpu.device.bandwidth_bytes_per_s, weights, compute)
    if ridge is None:
        return
    draft.note_figure("ridge_batch", ridge)
    draft.lead(
        f"На {gpu.name} с весами {LABELS[weights]} decode остаётся memory-bound примерно **до batch"
        f" {draft.num(ridge, 0)}** (по весам, расчёт roofline): до этого больший batch почти"
        " бесплатно поднимает throughput, дальше растёт TPOT.",
        f"On {gpu.name} with {LABELS[weights]} weights decode is memory-bound up to about **batch"
        f" {ridge:.0f}**.",
    )
    rate = gpu.device.flops_per_s[compute]
    draft.work(
        "batch = FLOPS × байт на вес / (2 × пропускная способность) ="
        f" {draft.num(rate / 1e12, 0)}e12 × {LABELS[weights]} / (2 ×"
        f" {draft.num(gpu.device.bandwidth_bytes_per_s / 1e12, 2)}e12) = {draft.num(ridge, 0)};"
        " чтение KV cache сдвигает границу выше"
    )
    cite_gpu(draft, gpu)


def _sweep(question: Question, setting: Setting, draft: Draft) -> None:
    found = room(setting)
    if not found.loads:
        draft.lead(
            f"{setting.subject.title} в {setting.label} туда не влезает: веса"
            f" {draft.gib(found.weights_bytes)}, доступно {draft.gib(found.usable_bytes)}."
        )
        return
    target = question.frame.tpot_ms or default_objectives(setting.facts).band.tpot_ms.high
    rows, best = [], 1
    sizes = [batch for batch in (1, 8, 16, 32, 64, 128, 256) if batch <= found.most]
    every = predict_many([setting.change(concurrency=batch).query for batch in sizes])
    for batch, seen in zip(sizes, every, strict=True):
        if seen.tpot_ms.value <= target:
            best = batch
        rows.append(
            f"| {batch} | {draft.interval(seen.tpot_ms, 'мс', 'ms')} |"
            f" {draft.interval(seen.ttft_ms, 'мс', 'ms')} |"
            f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')} |"
        )
        cite_prediction(draft, seen)
    draft.lead(
        f"Для {setting.subject.title} в {setting.label} память держит до **{found.most}** запросов"
        f" по {draft.num(setting.context_tokens, 0)} токенов; под TPOT ≤ {draft.ms(target)} начните"
        f" с `--max-num-seqs {best}` (прогноз).",
        f"Memory holds {found.most} requests; start with `--max-num-seqs {best}` (predicted).",
    )
    draft.add("\n".join(["| Batch | TPOT | TTFT | Всего |", "| --- | --- | --- | --- |", *rows]))
    if not question.frame.tpot_ms:
        draft.assume(f"цель TPOT ≤ {draft.ms(target)} (обычная для такого размера)")
    assumptions(draft, setting, skip=("одновременных",))
    cite_setting(draft, setting)
    offer_session(draft, question)
