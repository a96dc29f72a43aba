"""What is wrong with the question itself: names, contradictions, formats, limits of physics."""

from advisor.consultation.answers import closed_models
from advisor.consultation.calculators import formats, speed
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.api_prices import api_price_in
from knowledge.devices import catalog, require_gpu
from knowledge.known_models import known_architectures
from knowledge.patterns import compiled

_BELOW_ZERO = (
    r"(?<![\w.,)])(?<!\d )-\s?\d+(?:[.,]\d+)?\s*(?:карт|видеокарт|gpu|штук|запрос|юзер|пользоват|"
    r"токен|rps|доллар|руб|\$|гб|gb|x\b)\w*|(?<![\w.,])0 (?:карт|видеокарт|gpu|запрос|юзер|"
    r"пользоват)\w*|(?<!\w)минус \d+"
)


def check(question: Question, draft: Draft) -> None:
    """Add a warning for everything that does not hold together."""
    for look in (
        _unknown,
        _memory,
        _together,
        _too_old,
        _formats,
        _context,
        _latencies,
        _little,
        _links,
        _heads,
        _floors,
        _promises,
    ):
        look(question, draft)


_OLDEST = 7.0
"""vLLM's CUDA kernels begin with Volta."""


def _too_old(question: Question, draft: Draft) -> None:
    if question.frame.engine not in (None, "vllm"):
        return
    for gpu in question.gpus[:2]:
        capability = gpu.device.compute_capability
        if capability and float(capability) < _OLDEST:
            draft.warn(
                f"**vLLM на {gpu.name} не заработает:** это {gpu.generation} (compute capability"
                f" {capability}), а нужна {_OLDEST} и новее. Берите llama.cpp (GGUF): ему хватает"
                " этой карты.",
                f"**vLLM does not run on {gpu.name}** (compute capability {capability}); use"
                " llama.cpp (GGUF).",
            )


_TOTAL = r"(?:суммарно|всего|итого|в сумме|вместе|total)\D{0,12}(\d{2,4})\s*(?:гб|gb|гиг\w*)"


def _together(question: Question, draft: Draft) -> None:
    """«4 по 80, суммарно 240»: said wrongly."""
    said, count = compiled(_TOTAL).search(question.text), question.frame.devices
    if said is None or not count or count < 2 or not question.gpus:
        return
    each = question.gpus[0].device.memory_bytes
    rounded = round(each / 2**30 / 8) * 8 or round(each / 2**30)
    if abs(float(said[1]) / (count * rounded) - 1) > 0.12:
        draft.warn(
            f"Числа не сходятся: {count} × {rounded} ГБ — это {count * rounded} ГБ, а не {said[1]}."
            " Считаю по картам.",
            f"The numbers contradict: {count} × {rounded} GB is {count * rounded} GB, not"
            f" {said[1]}.",
        )


def _unknown(question: Question, draft: Draft) -> None:
    for name in question.own.unknown:
        if closed_models.score(question) or api_price_in(name.text):
            continue
        near = ", ".join(_title(stem) for stem in name.near[:3])
        draft.warn(
            f"«{name.text}» не знаю: такого имени нет в каталоге."
            + (f" Похожие из известных: {near}." if near else ""),
            f"I don't know “{name.text}”: no such name in the catalog."
            + (f" Nearest known: {near}." if near else ""),
        )


def below_zero(question: Question, draft: Draft) -> None:
    """A count, a length or a price below zero, or no cards at all, is a slip."""
    found = compiled(_BELOW_ZERO).search(question.text)
    if found is None:
        return
    draft.lead(
        f"**«{found[0].strip()}» — так не бывает**: число должно быть больше нуля. Наверное,"
        " опечатка; назовите настоящее число, и я пересчитаю.",
        f"“{found[0].strip()}” can't be: a count must be above zero. Give the real number.",
    )


def _title(stem: str) -> str:
    devices = {device.stem: device.name for device in catalog("gpu")}
    models = known_architectures()
    return devices.get(stem) or (models[stem].title if stem in models else stem)


def _memory(question: Question, draft: Draft) -> None:
    said = question.frame.gpu_memory_gb
    if said is None or len(question.gpus) != 1:
        return
    gpu = question.gpus[0]
    have = gpu.device.memory_bytes / 1e9
    total = have * (question.frame.devices or 1)
    if min(abs(said / have - 1), abs(said / total - 1)) < 0.13:
        return
    draft.warn(
        f"Числа противоречат друг другу: у {gpu.name} памяти {round(have)} ГБ, а не {said:g}."
        " Заводского варианта с таким объёмом в каталоге нет; считаю по каталогу. Если карта"
        " переделанная или имелась в виду другая, скажите какая.",
        f"The numbers contradict: {gpu.name} has {round(have)} GB, not {said:g}. I use the"
        " catalog's figure.",
    )


def _formats(question: Question, draft: Draft) -> None:
    for gpu in question.gpus[:2]:
        for scheme in question.frame.schemes or (
            (question.frame.weights,) if question.frame.weights else ()
        ):
            format_warning(scheme, question, draft, gpu.stem)


def format_warning(scheme: str, question: Question, draft: Draft, stem: str) -> bool:
    """Warn when a device does not compute in a format; whether it was so."""
    gpu = next(gpu for gpu in question.gpus if gpu.stem == stem)
    found = formats.how(scheme, gpu)
    if found == "native" or scheme in ("int4", "int3", "int2", "fp32"):
        return False
    name = formats.label(scheme)
    best = " или ".join(
        f"{formats.label(s)}"
        + (" (W8A8)" if s == "int8" else " (AWQ или GPTQ)" if s == "int4" else "")
        for s in formats.instead(scheme, gpu)
    )
    if found == "stored":
        ru = (
            f"У {gpu.name} ({gpu.generation}) нет блоков {name}: формат появился в"
            f" {formats.since(scheme, 'ru')}. Веса в {name} загрузятся (ядра Marlin, W8A16 или"
            " W4A16: хранение сжатое, счёт в 16 битах) и сэкономят память, но вычисления не"
            f" ускорятся. Для ускорения здесь берите {best}."
        )
    else:
        ru = (
            f"{gpu.name} ({gpu.generation}) не поддерживает {name} аппаратно: формат появился в"
            f" {formats.since(scheme, 'ru')}. Берите вместо него {best}."
        )
    draft.warn(
        ru,
        f"{gpu.name} ({gpu.generation}) has no {name} units: they came with"
        f" {formats.since(scheme, 'en')}. "
        + (
            "Weights load and save memory, but compute stays in 16 bits. "
            if found == "stored"
            else ""
        )
        + f"Use {best.replace(' или ', ' or ')} instead.",
    )
    return True


def _context(question: Question, draft: Draft) -> None:
    asked = max(
        question.frame.context_tokens or 0,
        (question.frame.input_tokens or 0) + (question.frame.output_tokens or 0),
    )
    if not question.frame.models or asked < 2:
        return
    model = question.models[0]
    limit = model.facts.max_position
    if asked > limit:
        draft.warn(
            f"Контекст {draft.num(asked, 0)} больше предела модели: {model.title} обучена на"
            f" {draft.num(limit, 0)} токенов (max_position_embeddings). Дальше качество не"
            " гарантировано; нужны RoPE scaling (YaRN) с проверкой качества или модель с длинным"
            " контекстом. По памяти считаю как спрошено.",
            f"A context of {asked} is beyond the model's limit of {limit} tokens"
            " (max_position_embeddings).",
        )


def _latencies(question: Question, draft: Draft) -> None:
    frame = question.frame
    speed_said = frame.user_tokens_per_s or (
        frame.tokens_per_s if not frame.concurrency and not frame.gpu_hour else None
    )
    if frame.tpot_ms and speed_said:
        given = 1000 / frame.tpot_ms
        if abs(given / speed_said - 1) > 0.15:
            draft.warn(
                f"Числа противоречат друг другу: TPOT {draft.ms(frame.tpot_ms)} — это 1000 /"
                f" {frame.tpot_ms:g} = {draft.num(given, 0)} ток/с на поток, а не"
                f" {draft.num(speed_said, 0)}; для {draft.num(speed_said, 0)} ток/с нужен TPOT"
                f" {draft.ms(1000 / speed_said)}. Проверьте, не усреднены ли в скорость TTFT и"
                " ожидание в очереди и на сколько потоков она посчитана.",
                f"The numbers contradict: TPOT {frame.tpot_ms:g} ms means {given:.0f} tok/s per"
                f" stream, not {speed_said:g}.",
            )
    if frame.e2e_ms and frame.ttft_ms and frame.e2e_ms < frame.ttft_ms:
        draft.warn(
            f"Числа противоречат друг другу: E2E ({draft.ms(frame.e2e_ms)}) не может быть меньше"
            f" TTFT ({draft.ms(frame.ttft_ms)}): E2E = TTFT + TPOT · (выходных токенов − 1).",
            "The numbers contradict: E2E can't be less than TTFT.",
        )


def _little(question: Question, draft: Draft) -> None:
    frame = question.frame
    if frame.requests_per_s and frame.concurrency and frame.e2e_ms:
        implied = frame.requests_per_s * frame.e2e_ms / 1000
        if abs(implied / frame.concurrency - 1) > 0.25:
            draft.warn(
                "Числа противоречат друг другу: по закону Литтла L = λ · W ="
                f" {frame.requests_per_s:g} · {frame.e2e_ms / 1000:g} с = {draft.num(implied, 0)}"
                f" запросов в работе, а названо {frame.concurrency}.",
                f"The numbers contradict: Little's law gives {implied:.0f} in flight, not"
                f" {frame.concurrency}.",
            )


def _links(question: Question, draft: Draft) -> None:
    for gpu in question.gpus[:2]:
        if question.frame.nvlink and not gpu.is_nvlinked:
            draft.warn(
                f"У {gpu.name} нет NVLink: карты общаются только по PCIe ({gpu.link}). Tensor"
                " parallel будет работать, но all-reduce на каждом слое идёт через PCIe и заметно"
                " медленнее; для нескольких карт рассмотрите PP или квантование, чтобы хватило"
                " меньшего числа.",
                f"{gpu.name} has no NVLink: cards talk over {gpu.link} only, so tensor parallel"
                " pays for its all-reduces.",
            )


def _heads(question: Question, draft: Draft) -> None:
    tp, cards = question.frame.tp, question.frame.devices
    compares = question.has(
        r"или|(?<![a-z])vs|чем на \d|медленн|быстрее|чем 1|than (?:on )?(?:one|1)"
    )
    if tp and cards and not compares and tp * (question.frame.pp or 1) > cards:
        widest = max(n for n in (1, 2, 4, 8, 16) if n <= cards)
        draft.warn(
            f"**Нельзя:** TP={tp} занимает {tp} карт, а названо {cards}. Движок не запустится;"
            f" берите TP={widest} (степень двойки, которая делит головы внимания)"
            + (f" или PP={cards}, если нужны все {cards}." if cards != widest else "."),
            f"TP={tp} takes {tp} cards and {cards} are there: take TP={widest}.",
        )
    if not tp or not question.frame.models:
        return
    facts, title = question.models[0].facts, question.models[0].title
    if facts.heads % tp:
        fits = [n for n in (1, 2, 4, 8, 16) if facts.heads % n == 0]
        draft.warn(
            f"TP={tp} для {title} нельзя: {facts.heads} голов внимания (KV heads: {facts.kv_heads})"
            f" не делятся на {tp}, и движок откажется стартовать. Подходят TP ="
            f" {', '.join(map(str, fits))}.",
            f"TP={tp} is impossible for {title}: {facts.heads} attention heads don't divide by"
            f" {tp}. Use {fits}.",
        )


def _floors(question: Question, draft: Draft) -> None:
    """An SLO below the roofline can't be met by any engine."""
    frame = question.frame
    if not question.has_model or not (frame.ttft_ms or frame.tpot_ms):
        return
    setting = resolve(frame)
    if setting is None or question.has(r"сейчас|получ|измер|почему|now"):
        return
    if setting.gpu is None:
        setting = setting.change(gpu=require_gpu("b200"), count=8)
    assert setting.gpu is not None
    least = speed.floor(setting)
    for name, asked, bound in (
        ("TTFT", frame.ttft_ms, least and least.ttft_ms),
        ("TPOT", frame.tpot_ms, least and least.tpot_ms),
    ):
        if asked and bound and asked < bound:
            draft.warn(
                f"{name} {draft.ms(asked)} невозможен: roofline {setting.subject.title} в"
                f" {setting.label} на {setting.count} × {setting.gpu.name} — {draft.ms(bound)},"
                " быстрее не даст ни один движок. Нужны больше GPU, более узкий формат весов,"
                " меньшая модель или короче вход.",
                f"{name} {asked:g} ms is impossible: the roofline of this deployment is"
                f" {bound:.1f} ms.",
            )


def _promises(question: Question, draft: Draft) -> None:
    if question.has(r"гарант\w+|обещ\w+|ровно в|точно в \d|guarantee|exactly \d"):
        draft.warn(
            "Гарантировать ускорение заранее нельзя: оно зависит от GPU, модели, batch и длин. До"
            " замера любая цифра — прогноз с интервалом, и выигрышем считается только то, что"
            " измерено на вашей нагрузке при неизменном качестве.",
            "No speed-up can be guaranteed beforehand: until it is measured on your load, any"
            " figure is a prediction.",
        )
