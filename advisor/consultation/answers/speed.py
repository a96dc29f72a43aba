"""How fast: TTFT, TPOT and tokens per second, predicted, with the roofline beside."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
    needs_model,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators import speed
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft

_FAST = (
    r"ttft|tpot|ток/с|токен\w* (в|за)"
    r" секунд|tok/s|tps|скорост|быстр|latency|задержк|латентн|сколько"
    r" времени|throughput|пропускную|производительн|"
    r"prefill|префил|первый токен|мс\b|отклик|через сколько|долго ли|how fast|успе(ет|ва)"
)
_LIMIT = (
    r"теор\w+|предел\w*|минимум|минимальн\w+|roofline|рулай?н|потолок|ограничен|упира\w+|bound\b|узкое"
    r" место"
)


def score(question: Question) -> float:
    if question.has(r"рассчит.*e2e|если ttft"):
        return 0
    limit = question.has(_LIMIT)
    if not (limit or question.has(_FAST)):
        return 0
    if question.has_model and question.frame.gpus:
        if len(question.frame.gpus) > 1:
            return 5
        return (
            8.4
            if limit and question.has(r"tpot|скорост|генерац|decode|ток|ограничен|упира")
            else 7.2
        )
    if question.has(r"будет ли быстро|быстро ли"):
        return 5.5
    return 5 if question.has_model else 2.2


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    if setting is None:
        needs_model(draft)
        return
    if setting.gpu is None:
        setting = usual_gpu(setting, question, draft)
    assert setting.gpu is not None
    found = room(setting)
    if not found.loads:
        draft.lead(
            f"**Сначала память: {setting.subject.title} в {setting.label} не влезает на"
            f" {devices(draft, setting.gpu, setting.count)}** (веса"
            f" {draft.gib(found.weights_bytes)}, доступно {draft.gib(found.usable_bytes)}). Ниже —"
            " скорость, если бы памяти хватало.",
            f"**First the memory: {setting.subject.title} in {setting.label} does not fit.** The"
            " figures below assume it did.",
        )
    least = speed.floor(setting)
    if question.has(_LIMIT) and least:
        _limit(question, setting, least, draft)
    _forecast(question, setting, draft)
    if least:
        _formulas(setting, least, draft)
    assumptions(draft, setting)
    cite_setting(draft, setting)
    offer_session(draft, question)


def _limit(question: Question, setting: Setting, least: speed.Floor, draft: Draft) -> None:
    assert setting.gpu is not None
    bound = (
        draft.say("пропускной способностью памяти", "memory bandwidth")
        if least.decode_bound == "memory-bandwidth"
        else draft.say("вычислениями", "compute")
    )
    streams = setting.concurrency
    draft.lead(
        f"Теоретический предел decode (roofline): TPOT **{draft.ms(least.tpot_ms)}**, то есть до"
        f" **{draft.num(1000 / least.tpot_ms, 1)} ток/с на поток** ({setting.subject.title},"
        f" {setting.label}, {devices(draft, setting.gpu, setting.count)}, потоков: {streams})."
        f" Decode ограничен {bound}: на каждый токен читаются все веса. Быстрее не даст ни один"
        " движок.",
        f"Roofline of decode: TPOT **{draft.ms(least.tpot_ms)}**, up to"
        f" **{draft.num(1000 / least.tpot_ms, 1)} tok/s per stream**, bound by {bound}.",
    )


def _forecast(question: Question, setting: Setting, draft: Draft) -> None:
    assert setting.gpu is not None
    seen = forecast(question, setting)
    how = draft.provenance(seen.speed_provenance)
    per_user = seen.tpot_ms
    streams = f"{setting.concurrency}"
    draft.note_figure("tpot_ms", seen.tpot_ms.value)
    draft.note_figure("ttft_ms", seen.ttft_ms.value)
    draft.lead(
        f"Ожидаемая скорость ({how}, 90 % интервал) {setting.subject.title} в {setting.label} на"
        f" {devices(draft, setting.gpu, setting.count)}, одновременных запросов {streams}, вход"
        f" {draft.num(setting.input_tokens, 0)}, выход {draft.num(setting.output_tokens, 0)}: TTFT"
        f" **{draft.interval(seen.ttft_ms, 'мс', 'ms')}**, TPOT"
        f" **{draft.interval(per_user, 'мс', 'ms')}** (≈ {draft.num(1000 / per_user.value, 0)}"
        " ток/с на пользователя), всего"
        f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')}.",
        f"Expected ({how}, 90 % interval) for {setting.subject.title} in {setting.label} on"
        f" {devices(draft, setting.gpu, setting.count)} at {streams} concurrent: TTFT"
        f" **{draft.interval(seen.ttft_ms, 'мс', 'ms')}**, TPOT"
        f" **{draft.interval(per_user, 'мс', 'ms')}**,"
        f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')} in total.",
    )
    frame = question.frame
    for name, asked, got in (
        ("TTFT", frame.ttft_ms, seen.ttft_ms),
        ("TPOT", frame.tpot_ms, seen.tpot_ms),
    ):
        if asked:
            word = (
                "должно получиться"
                if got.high <= asked
                else (
                    "скорее нет"
                    if got.value > asked
                    else "вероятно, но с риском: верх интервала выше"
                )
            )
            draft.add(f"{name} ≤ {draft.ms(asked)}: **{word}**.")
    cite_prediction(draft, seen)


def _formulas(setting: Setting, least: speed.Floor, draft: Draft) -> None:
    assert setting.gpu is not None
    device, tp = setting.gpu.device, setting.layout.tp
    split = f" / {tp} (TP)" if tp > 1 else ""
    draft.work(
        (
            f"нижняя граница TPOT: {draft.gib(least.step_bytes)} читается за шаг /"
            f" {draft.num(device.bandwidth_bytes_per_s / 1e12, 2)} ТБ/с{split} ="
            f" {draft.ms(least.tpot_ms)}"
            if least.decode_bound == "memory-bandwidth"
            else f"нижняя граница TPOT: вычисления шага{split} = {draft.ms(least.tpot_ms)}"
        ),
        f"TPOT floor: {draft.gib(least.step_bytes)} read per step /"
        f" {device.bandwidth_bytes_per_s / 1e12:.2f} TB/s{split} = {draft.ms(least.tpot_ms)}",
    )
    draft.work(
        f"нижняя граница TTFT: {draft.num(least.prefill_flops / 1e12, 1)} TFLOP на prefill"
        f" {draft.num(setting.input_tokens, 0)} токенов на пике GPU{split} ="
        f" {draft.ms(least.ttft_ms)} без очереди",
        f"TTFT floor: {least.prefill_flops / 1e12:.1f} TFLOP of prefill at peak{split} ="
        f" {draft.ms(least.ttft_ms)}, no queue",
    )
