"""Does it fit: weights, KV cache and overhead against the memory of the devices."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_setting,
    devices,
    gguf_size,
    llamacpp_room,
    needs_model,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators import formats
from advisor.consultation.calculators.memory import (
    Room,
    fewest,
    kv_per_sequence,
    kv_per_token,
    room,
    weights_bytes,
)
from advisor.consultation.question import Question
from advisor.consultation.setting import LABELS, Setting, resolve
from advisor.consultation.writing import Draft
from advisor.report.numbers import plural
from knowledge.devices import CatalogDevice, catalog
from knowledge.dtypes import bytes_per_element

_VERB = (
    r"вле[зс]|влаз|поме[сщ]|уме[сщ]|вой?д[её]т|войти|хват|потян|вытян|осил|завед|впих|запих|втисн|заработа|встан|подн[яи]|"
    r"\bfit|enough memory|запущу|запустится|запустить .* на|можно"
    r" ли|реально|тянет|получится|пойд[её]т|can i run|will .* run|ок\?"
)
_SIZE = (
    r"(сколько|какой|какая|объ?[её]м|how"
    r" much|нужно|сожр|скуша)[^.?]{0,40}(памят|vram|гигаб|гб\b|memory|вес[яи]т|весит|займ|"
    r"занима)|min\w* [^.?]{0,15}(memory|vram)|миним\w*[^.?]{0,20}(памят|vram)|сколько"
    r" (вес|займ|занима)|требовани\w* по памят"
)


EXAMPLES = (
    "влезет ли модель на карту",
    "хватит ли памяти карты для модели",
    "поместится модель в int4 на # гб",
    "потянет ли карта модель с контекстом # тыс",
    "подойдет ли карта для модели",
    "сколько памяти нужно модели в fp8",
    "сколько видеопамяти съест модель с контекстом # и # пользователями",
    "сколько памяти нужно для модели на # тыс контекста и # юзеров",
    "минимум памяти gpu для модели",
    "хочу запустить модель на # карта, реально",
    "какие требования по памяти у модели",
    "does модель fit on карта",
    "is # gb enough for модель",
    "how much vram does модель need",
    "can i run модель on # x карта",
    "min gpu memory for модель with # ctx",
    "можно ли крутить модель на # x карта",
    "модель без квантования поместится",
)


PART = True


def score(question: Question) -> float:
    place = question.frame.gpus or question.frame.gpu_memory_gb or question.frame.gpu_count
    if (
        question.has(_SIZE)
        and question.has_model
        and not question.has(r"времени|секунд|time|prefill|префил")
        and not question.has(r"kv|кэш|кеш|cache")
    ):
        return 8
    if question.has(_VERB):
        if question.frame.tokens_per_day and question.own.tokens_per_day:
            return 4
        if question.has_model:
            return 7 if place else 5.5
        return 4.5 if question.has(r"^\W*(влез|помест|хват|войд|fits?)") else 2
    if question.has_model and place:
        return 4.6
    return 2.5 if question.has_model and question.frame.weights else 0


async def write(question: Question, draft: Draft) -> None:
    setting = _setting(question, draft)
    if setting is None:
        if not question.own.unknown:
            needs_model(draft)
        else:
            draft.lead(
                "Без фактов о модели не посчитать. Дайте её config.json (папку или id на хабе) либо"
                " число параметров.",
                "I can't compute without facts of the model: give its config.json or its parameter"
                " count.",
            )
        return
    gguf_size(question, setting, draft)
    if setting.gpu is None:
        _size_only(question, setting, draft)
        return
    found = room(setting)
    _verdict(question, setting, found, draft)
    if not found.loads:
        llamacpp_room(setting, draft)
    _working(setting, found, draft)
    _what_helps(setting, found, draft)
    _fewer(setting, found, draft)
    assumptions(draft, setting, skip=("выход",))
    draft.assume(
        f"движку отдано {round(setting.utilization * 100)} % памяти"
        f" (gpu-memory-utilization={setting.utilization:g})".replace("=0.", "=0."),
        f"the engine may take {setting.utilization:.0%} of the memory",
    )
    cite_setting(draft, setting)
    if found.loads:
        offer_session(draft, question)


def _setting(question: Question, draft: Draft) -> Setting | None:
    setting = resolve(question.frame, context=4096)
    named = question.own.unknown and not question.frame.gpus
    if setting is not None and setting.gpu is None and question.frame.gpu_memory_gb and not named:
        gpu = by_memory(question.frame.gpu_memory_gb)
        if gpu:
            draft.assume(
                f"карта на {question.frame.gpu_memory_gb:g} ГБ — как {gpu.name}",
                f"a {question.frame.gpu_memory_gb:g} GB card: {gpu.name}",
            )
            setting = setting.change(gpu=gpu)
    if setting is not None and setting.gpu is None and question.frame.gpu_count and not named:
        setting = usual_gpu(setting, question, draft)
    if setting is not None and question.frame.gpus and not formats_ok(setting):
        setting = setting.change(weights="fp16") if setting.weights == "bf16" else setting
    return setting


def formats_ok(setting: Setting) -> bool:
    return setting.gpu is None or formats.how(setting.weights, setting.gpu) != "no"


def by_memory(gigabytes: float) -> CatalogDevice | None:
    """The usual card with this much memory."""
    near = [g for g in catalog("gpu") if abs(g.device.memory_bytes / 1e9 / gigabytes - 1) < 0.1]
    return max(near, key=lambda g: (g.weight, g.device.bandwidth_bytes_per_s), default=None)


def _verdict(question: Question, setting: Setting, found: Room, draft: Draft) -> None:
    assert setting.gpu is not None
    where = devices(draft, setting.gpu, setting.count)
    what = f"{setting.subject.title} {draft.say('в', 'in')} {setting.label}"
    load = f"{draft.num(setting.context_tokens, 0)}"
    draft.note_figure("weights_bytes", found.weights_bytes)
    draft.note_figure("max_concurrency", found.most)
    if not found.loads:
        short = found.needed(1) - found.usable_bytes
        draft.lead(
            f"**Не влезает:** {what} на {where}. Нужно {draft.gib(found.needed(1))} (веса"
            f" {draft.gib(found.weights_bytes)}), доступно {draft.gib(found.usable_bytes)}; не"
            f" хватает {draft.gib(max(short, 2**28))}.",
            f"**Does not fit:** {what} on {where}. It needs {draft.gib(found.needed(1))} (weights"
            f" {draft.gib(found.weights_bytes)}), {draft.gib(found.usable_bytes)} are there.",
        )
        return
    streams = question.frame.concurrency
    if streams and not found.holds(streams):
        need = found.needed(streams)
        draft.lead(
            f"**Не хватит:** сама модель помещается (веса {draft.gib(found.weights_bytes)}), но"
            f" {plural(streams, 'запрос', 'запроса', 'запросов')} по {load} токенов — нет. {what}"
            f" на {where} держит одновременно {found.most}; для всех нужно {draft.gib(need)} при"
            f" доступных {draft.gib(found.usable_bytes)}. Остальные ждут в очереди.",
            f"**Not enough:** {what} on {where} loads (weights {draft.gib(found.weights_bytes)})"
            f" but holds {found.most} requests of {load} tokens at once, not {streams}.",
        )
        return
    spare = found.usable_bytes - found.needed(setting.concurrency)
    tight = (
        draft.say(" Впритык: запас меньше 10 %.", " It is tight.")
        if found.kv_budget < 0.1 * found.usable_bytes
        else ""
    )
    draft.lead(
        f"**Влезает:** {what} на {where}. Веса {draft.gib(found.weights_bytes)} из доступных"
        f" {draft.gib(found.usable_bytes)}; одновременно помещается"
        f" {plural(found.most, 'запрос', 'запроса', 'запросов')} по {load} токенов"
        + (f", нужно {streams}: хватает, остаётся {draft.gib(max(0, spare))}." if streams else ".")
        + tight,
        f"**It fits:** {what} fits on {where}. Weights take {draft.gib(found.weights_bytes)} of"
        f" {draft.gib(found.usable_bytes)}; {found.most} requests of {load} tokens fit at"
        f" once.{tight}",
    )


def _working(setting: Setting, found: Room, draft: Draft) -> None:
    assert setting.gpu is not None
    facts = setting.facts
    billions = draft.num(facts.parameters / 1e9, 1 if facts.parameters < 1e11 else 0)
    note = (
        draft.say(
            " (эмбеддинги и голова остаются в 16 битах)", " (embeddings and head stay in 16 bits)"
        )
        if bytes_per_element_of(setting) <= 1
        else ""
    )
    draft.work(
        f"веса: {billions} млрд параметров × {draft.num(bytes_per_element_of(setting), 1)} байта ="
        f" {draft.num(found.weights_bytes / 1e9, 1)} ГБ ({draft.gib(found.weights_bytes)}){note}",
        f"weights: {billions}B parameters × {bytes_per_element_of(setting):g} bytes ="
        f" {draft.num(found.weights_bytes / 1e9, 1)} GB ({draft.gib(found.weights_bytes)}){note}",
    )
    kv_line(setting, found.kv_per_token, found.kv_per_sequence, draft, found.kv_copies)
    if setting.concurrency > 1:
        draft.work(
            f"KV cache на {plural(setting.concurrency, 'запрос', 'запроса', 'запросов')}:"
            f" {draft.gib(found.kv_held * setting.concurrency)}",
            f"KV cache of {setting.concurrency} requests:"
            f" {draft.gib(found.kv_held * setting.concurrency)}",
        )
    draft.work(
        f"активации, CUDA graphs и сам движок: около {draft.gib(found.overhead_bytes)}",
        f"activations, CUDA graphs, the engine: about {draft.gib(found.overhead_bytes)}",
    )
    if found.loads:
        draft.work(
            f"под KV cache остаётся {draft.gib(found.kv_budget)}",
            f"left for the KV cache: {draft.gib(found.kv_budget)}",
        )
    draft.work(
        f"доступно: {setting.layout.devices} × {draft.gib(setting.gpu.device.memory_bytes)} ×"
        f" {draft.num(setting.utilization, 2)} = {draft.gib(found.usable_bytes)}",
        f"available: {setting.layout.devices} × {draft.gib(setting.gpu.device.memory_bytes)} ×"
        f" {setting.utilization:g} = {draft.gib(found.usable_bytes)}",
    )


def kv_line(
    setting: Setting, per_token: float, per_sequence: float, draft: Draft, copies: float = 1.0
) -> None:
    """The formula of the KV cache with its numbers."""
    facts = setting.facts
    size = draft.num(1 if setting.kv != "bf16" else 2, 0)
    if facts.attention.value == "mla":
        formula = f"{facts.layers} слоёв × (латентный вектор + rope-ключ) × {size} Б"
        formula_en = f"{facts.layers} layers × (latent + rope key) × {size} B"
    else:
        layers = round(facts.kv_elements_per_token / (2 * facts.kv_heads * facts.head_dim))
        formula = f"2 × {layers} слоёв × {facts.kv_heads} KV heads × {facts.head_dim} × {size} Б"
        formula_en = (
            f"2 × {layers} layers × {facts.kv_heads} KV heads × {facts.head_dim} × {size} B"
        )
    draft.work(
        f"KV cache на токен: {formula} = {draft.gib(per_token)}; на запрос в"
        f" {draft.num(setting.context_tokens, 0)} токенов — {draft.gib(per_sequence)}",
        f"KV cache per token: {formula_en} = {draft.gib(per_token)}; per request of"
        f" {setting.context_tokens} tokens: {draft.gib(per_sequence)}",
    )
    if copies > 1.01:
        draft.work(
            f"TP={setting.layout.tp} шире числа KV heads: K и V хранятся в"
            f" {draft.num(copies, 1)} копиях, по одной на группу карт",
            f"TP={setting.layout.tp} is wider than the KV heads: each K and V is kept"
            f" {copies:.1f} times",
        )
    draft.note_figure("kv_bytes_per_token", per_token)


def bytes_per_element_of(setting: Setting) -> float:
    from advisor.consultation.setting import DTYPES

    return bytes_per_element(DTYPES[setting.weights])


def _what_helps(setting: Setting, found: Room, draft: Draft) -> None:
    """When it does not fit, what would."""
    assert setting.gpu is not None
    if found.loads and found.holds(setting.concurrency):
        return
    options = []
    for scheme in formats.sensible(setting.gpu):
        if scheme == setting.weights or bytes_of(scheme) >= bytes_of(setting.weights):
            continue
        tried = setting.change(weights=scheme)
        if room(tried).holds(setting.concurrency):
            name = LABELS[scheme] + (" (AWQ, GPTQ)" if scheme == "int4" else "")
            options.append(draft.say(f"{name} на том же железе", f"{name} on the same hardware"))
            break
    more = fewest(setting, setting.concurrency)
    if more and more[0] > setting.count:
        options.append(
            draft.say(
                f"{devices(draft, setting.gpu, more[0])} в {setting.label}"
                f" ({_split(setting.change(count=more[0]))})",
                f"{devices(draft, setting.gpu, more[0])} in {setting.label}",
            )
        )
    if found.loads:
        options.append(
            draft.say(
                "KV cache в FP8 (вдвое больше запросов) или короче контекст",
                "an FP8 KV cache or a shorter context",
            )
        )
    elif not options:
        options.append(
            draft.say(
                "модель поменьше или карта с большей памятью", "a smaller model or a bigger card"
            )
        )
    draft.add(
        (
            f"**Что поможет:** {'; '.join(options)}. Квантование меняет качество: его нужно"
            " проверить на своих данных."
            if options
            else ""
        ),
        f"**What helps:** {'; '.join(options)}.",
    )


def _fewer(setting: Setting, found: Room, draft: Draft) -> None:
    """When fewer devices would do."""
    assert setting.gpu is not None
    least = fewest(setting, setting.concurrency) if setting.count > 1 else None
    if found.holds(setting.concurrency) and least and least[0] < setting.count:
        draft.add(
            f"По памяти хватило бы и {devices(draft, setting.gpu, least[0])} (помещается"
            f" {least[1].most}); больше карт — больше одновременных запросов и ниже TPOT.",
            f"By memory {least[0]} would do.",
        )


def _split(setting: Setting) -> str:
    layout = setting.layout
    return f"TP={layout.tp}" + (f", PP={layout.pp}" if layout.pp > 1 else "")


def bytes_of(scheme: str) -> float:
    from advisor.consultation.setting import DTYPES

    return bytes_per_element(DTYPES[scheme])


_ONE_MEMORY = (
    r"(?<![a-z])mac|(?<![а-я])мак|apple|(?<![\w-])m[1-5](?![\w])|оператив|ноут|laptop|"
    r"ryzen ai|strix"
)
_SHARED = 0.75
"""What a machine with one memory for all gives its GPU at most."""


def _size_only(question: Question, setting: Setting, draft: Draft) -> None:
    """No device was named: the size in every format, and which cards hold it."""
    weights = weights_bytes(setting)
    per_sequence = kv_per_sequence(setting)
    total = weights + per_sequence * setting.concurrency + 2.5e9
    draft.note_figure("weights_bytes", weights)
    draft.lead(
        f"Веса {setting.subject.title} в {setting.label} занимают **{draft.gib(weights)}**"
        f" ({draft.num(weights / 1e9, 1)} ГБ). С KV cache"
        f" ({plural(setting.concurrency, 'запрос', 'запроса', 'запросов')} по"
        f" {draft.num(setting.context_tokens, 0)} токенов) и самим движком нужно около"
        f" {draft.gib(total)}.",
        f"The weights of {setting.subject.title} in {setting.label} take **{draft.gib(weights)}**"
        f" ({draft.num(weights / 1e9, 1)} GB); with KV cache and the engine about"
        f" {draft.gib(total)}.",
    )
    said = question.frame.gpu_memory_gb or question.frame.ram_gb
    if said:
        shared = not question.frame.gpu_memory_gb or question.has(_ONE_MEMORY)
        usable = said * 1e9 * (_SHARED if shared else 0.92)
        word = draft.say("хватит" if usable >= total else "не хватит", "")
        draft.lead(
            f"Из {said:g} ГБ занять можно около {draft.gib(usable)}"
            f"{' (остальное — системе)' if shared else ''}: **{word}**"
            + (
                "."
                if usable >= total
                else f" в {setting.label}; веса в INT4 —"
                f" {draft.gib(weights_bytes(setting.change(weights='int4')))}."
            ),
            f"Of {said:g} GB about {draft.gib(usable)} are usable.",
        )
    others = [s for s in ("bf16", "fp8", "int4") if s != setting.weights]
    sizes = "; ".join(
        f"{LABELS[s]} — {draft.gib(weights_bytes(setting.change(weights=s)))}" for s in others
    )
    draft.add(f"В других форматах: {sizes}.", f"In other formats: {sizes}.")
    draft.work(
        f"веса: {draft.num(setting.facts.parameters / 1e9, 2)} млрд параметров ×"
        f" {draft.num(bytes_per_element_of(setting), 1)} байта",
        f"weights: {setting.facts.parameters / 1e9:.2f}B parameters ×"
        f" {bytes_per_element_of(setting):g} bytes",
    )
    kv_line(setting, kv_per_token(setting), per_sequence, draft)
    assumptions(draft, setting, skip=("выход",))
    cite_setting(draft, setting)
    draft.offer(
        "Назовите GPU, контекст и число одновременных запросов — скажу, сколько карт нужно и с"
        " каким запасом.",
        "Name the GPU, context and concurrency, and I'll size it.",
    )
