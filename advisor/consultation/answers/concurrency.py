"""How many at once a deployment holds, and how many devices hold so many."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
    gguf_size,
    needs_model,
    offer_session,
    usual_gpu,
)
from advisor.consultation.answers.fit import by_memory, kv_line
from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.prediction import Prediction

_MANY = (
    r"сколько (выдерж|потян|держит|вытян|удерж)\w*|(?<![а-я])(сколько|скольк\w+|max\w*|макс\w*|how"
    r" many|какой|какое|предел)[^.?]{0,45}(одновремен|парал+ел|пользоват|юзер|запрос|"
    r"человек|сесси|батч|batch|concurren|диалог|стрим|поток|клиент|users|requests|влез)"
)
_COUNT = (
    r"(сколь(ко|ки)|как много|how"
    r" many)\s*(?:штук\s*)?(нужно\s+|надо\s+|потребу\w+\s+|мне\s+|нам\s+|"
    r"понадоб\w+\s+)*(карт|видеокарт|gpu|гпу|ускорит|видюх|сервер|нод|узл|h\d|a\d|l\d|b\d|"
    r"штук|rtx|\d0\d0)"
)


_LEAST = (
    r"(сколько|скольк\w+)\s+(минимум|минимально|как минимум)|"
    r"минимальн\w+ (число|количеств)\w* (карт|gpu|видеокарт)"
)
"""«сколько минимум 5090-х»: a count, whatever the cards are called."""

EXAMPLES = (
    "сколько пользователей выдержит модель на карта",
    "сколько одновременных запросов держит модель на # карта с контекстом #",
    "сколько юзеров потянет карта с моделью",
    "сколько диалогов поместится в память",
    "сколько параллельных сессий",
    "сколько чатов на # гб карте с моделью",
    "max batch size for модель on карта",
    "how many concurrent users can карта serve with модель",
    "если уменьшить контекст с # до # сколько больше юзеров влезет",
    "сколько карт нужно чтобы держать # параллельных сессий",
    "сколько карта нужно под модель",
)
NEEDS = ("has_model",)
COVERS = ("fit",)
PART = True


def score(question: Question) -> float:
    placed = bool(question.frame.gpus) and question.has_model
    if question.has(_COUNT):
        return 9 if placed else 0
    if placed and question.has(_LEAST):
        return 9
    if not question.has(_MANY) or question.has(
        r"(?<![a-zа-я])(kv|кв)(?![a-zа-я])[^.?]*(сколько (вес|заним)|размер)"
    ):
        return 0
    littles = question.frame.requests_per_s and question.frame.e2e_ms
    if littles or question.has(r"литтл|little|токен\w*( в |/)с|ток/с|tok/s"):
        return 0
    return 8.5 if question.has_model and question.frame.gpus else 6.5 if question.has_model else 4.2


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame, context=4096)
    if setting is not None and setting.gpu is None:
        setting = _place(question, setting, draft)
    if setting is None or setting.gpu is None:
        needs_model(draft)
        return
    if question.has(rf"{_COUNT}|{_LEAST}"):
        _count(question, setting, draft)
        return
    gguf_size(question, setting, draft)
    found = room(setting)
    where = devices(draft, setting.gpu, setting.count)
    draft.note_figure("max_concurrency", found.most)
    each = draft.num(setting.context_tokens, 0)
    if not found.loads:
        draft.lead(
            f"**Нисколько: модель не влезает.** Веса {setting.subject.title} в {setting.label} —"
            f" {draft.gib(found.weights_bytes)}, доступно на {where}"
            f" {draft.gib(found.usable_bytes)}.",
            f"**None: the model does not fit.** Weights {draft.gib(found.weights_bytes)}, available"
            f" {draft.gib(found.usable_bytes)}.",
        )
        more = fewest(setting)
        if more:
            draft.add(
                f"Влезет на {devices(draft, setting.gpu, more[0])}.",
                f"It fits on {devices(draft, setting.gpu, more[0])}.",
            )
    else:
        streams = min(found.most, 256)
        full = forecast(question, setting.change(concurrency=streams))
        few, many = full.max_concurrency.low, full.max_concurrency.high
        draft.lead(
            "По памяти одновременно помещается"
            f" **{plural(found.most, 'запрос', 'запроса', 'запросов')}** по {each} токенов (расчёт,"
            f" 90 % интервал {few:.0f}–{many:.0f}): {setting.subject.title} в {setting.label} на"
            f" {where}.",
            f"**{found.most}** requests of {each} tokens fit at once (computed; 90 % interval"
            f" {few:.0f}–{many:.0f}): {setting.subject.title} in {setting.label} on {where}.",
        )
        _speed_then(full, streams, draft)
    for other in question.frame.contexts[1:3]:
        then = room(setting.change(context_tokens=other))
        times = then.most / found.most if found.most else 0
        draft.lead(
            f"При контексте {draft.num(other, 0)} — **{then.most}**"
            + (f", в {draft.num(times, 1)} раза больше." if times > 1 else "."),
            f"At {other} tokens: **{then.most}**.",
        )
    draft.work(
        f"({draft.gib(found.usable_bytes)} доступно − {draft.gib(found.weights_bytes)} веса −"
        f" {draft.gib(found.overhead_bytes)} движок) / {draft.gib(found.kv_held)} на запрос"
        f" = {found.most}",
        f"({draft.gib(found.usable_bytes)} available − {draft.gib(found.weights_bytes)} weights −"
        f" {draft.gib(found.overhead_bytes)} engine) / {draft.gib(found.kv_held)} per"
        f" request = {found.most}",
    )
    kv_line(setting, found.kv_per_token, found.kv_per_sequence, draft, found.kv_copies)
    assumptions(draft, setting, skip=("одновременных", "выход"))
    draft.assume(
        "движку отдано 90 % памяти; у всех запросов полный контекст сразу (на деле средний короче,"
        " и поместится больше)",
        "the engine takes 90 % of the memory; every request is at full length",
    )
    cite_setting(draft, setting)
    offer_session(draft, question)


def _place(question: Question, setting: Setting, draft: Draft) -> Setting:
    """A card of the said size where only its memory was said; the usual card else."""
    gigabytes = question.frame.gpu_memory_gb
    gpu = by_memory(gigabytes) if gigabytes else None
    if gpu is None:
        return usual_gpu(setting, question, draft)
    draft.assume(
        f"карта на {gigabytes:g} ГБ — как {gpu.name}", f"a {gigabytes:g} GB card: {gpu.name}"
    )
    return setting.change(gpu=gpu)


def _speed_then(full: Prediction, streams: int, draft: Draft) -> None:
    """What the full house would feel like."""
    draft.add(
        f"Память — не единственный предел: при {plural(streams, 'запросе', 'запросах', 'запросах')}"
        f" сразу ожидается TPOT {draft.interval(full.tpot_ms, 'мс', 'ms')} и TTFT"
        f" {draft.interval(full.ttft_ms, 'мс', 'ms')} ({full.speed_provenance.russian}, 90 %"
        " интервал). Если это медленнее вашего SLO, ограничьте `--max-num-seqs`.",
        f"At {streams} at once expect TPOT {draft.interval(full.tpot_ms, 'мс', 'ms')}"
        f" ({draft.provenance(full.speed_provenance)}).",
    )
    cite_prediction(draft, full)


def _count(question: Question, setting: Setting, draft: Draft) -> None:
    assert setting.gpu is not None
    least = fewest(setting, setting.concurrency)
    if least is None:
        draft.lead(
            f"Даже 64 × {setting.gpu.name} не хватит для такой нагрузки в одной копии модели: нужны"
            " реплики или другая карта.",
            "Even 64 devices do not hold this load.",
        )
        return
    count, found = least
    draft.note_figure("devices", count)
    layout = setting.change(count=count).layout
    split = f"TP={layout.tp}" + (f", PP={layout.pp}" if layout.pp > 1 else "")
    draft.lead(
        f"По памяти нужно **{count} × {setting.gpu.name}** ({split}): {setting.subject.title} в"
        f" {setting.label}, {plural(setting.concurrency, 'запрос', 'запроса', 'запросов')} по"
        f" {draft.num(setting.context_tokens, 0)} токенов. Занято"
        f" {draft.gib(found.needed(setting.concurrency))} из {draft.gib(found.usable_bytes)}, всего"
        f" поместится {found.most}.",
        f"**{count} × {setting.gpu.name}** ({split}) hold it:"
        f" {draft.gib(found.needed(setting.concurrency))} of {draft.gib(found.usable_bytes)}.",
    )
    speed = forecast(question, setting.change(count=count))
    draft.add(
        f"Ожидаемая скорость там: TPOT {draft.interval(speed.tpot_ms, 'мс', 'ms')}, TTFT"
        f" {draft.interval(speed.ttft_ms, 'мс', 'ms')} ({speed.speed_provenance.russian}, 90 %"
        " интервал).",
        f"Expected there: TPOT {draft.interval(speed.tpot_ms, 'мс', 'ms')}"
        f" ({draft.provenance(speed.speed_provenance)}).",
    )
    draft.work(
        f"веса {draft.gib(found.weights_bytes)} + KV {setting.concurrency} ×"
        f" {draft.gib(found.kv_held)} = {draft.gib(found.kv_held * setting.concurrency)} + движок"
        f" {draft.gib(found.overhead_bytes)} ≤ {count} ×"
        f" {draft.gib(setting.gpu.device.memory_bytes)} × 0,9"
    )
    kv_line(setting, found.kv_per_token, found.kv_per_sequence, draft, found.kv_copies)
    assumptions(draft, setting, skip=("одна ", "выход"))
    cite_setting(draft, setting)
    cite_prediction(draft, speed)
    offer_session(draft, question)
