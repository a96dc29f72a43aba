"""What a GPU is, and two of them side by side."""

from advisor.consultation.answers._common import assumptions, cite_gpu, cite_prediction, forecast
from advisor.consultation.calculators import formats, money
from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.devices import CatalogDevice
from knowledge.gpu_prices import typical_price

EXAMPLES = (
    "карта или карта",
    "карта против карта",
    "сравни карта и карта",
    "насколько карта быстрее карта",
    "есть ли смысл брать карта вместо карта",
    "характеристики карта",
    "какая пропускная способность памяти у карта",
    "карта vs карта",
)
NEEDS = ("gpus",)


def score(question: Question) -> float:
    count = len(question.frame.gpus)
    if count >= 2:
        if question.has(r"сколько (стоит|памяти нужно)|команд"):
            return 3
        if question.has_model and question.has(r"сравн|против|\bvs\b|дешевле|compare|выгоднее"):
            return 8.8
        return (
            8.2
            if question.has(r"лучше|сравн|vs|против|или|быстрее|разниц|чем|versus|compare|\?")
            else 6
        )
    if count == 1 and not question.has_model:
        return (
            6.5
            if question.has(
                r"пропускн|памят|tflops|терафлопс|флопс|характерист|nvlink|compute"
                r" capability|ват+|потребл|псп|bandwidth|что за карта|сколько"
                r" .{0,12}(гб|гиг)|fp8|fp4|bf16|int8|какие форматы|архитектур|что скажешь"
            )
            else 1.5
        )
    return 0


async def write(question: Question, draft: Draft) -> None:
    gpus = question.gpus
    if len(gpus) < 2:
        _one(question, gpus[0], draft)
        return
    first, second = gpus[0], gpus[1]
    counts = [*question.frame.gpu_counts, None, None]
    n1, n2 = counts[0] or 1, counts[1] or 1
    band1, band2 = first.device.bandwidth_bytes_per_s * n1, second.device.bandwidth_bytes_per_s * n2
    fast, slow, ratio = (
        (first, second, band1 / band2) if band1 >= band2 else (second, first, band2 / band1)
    )
    a, b = _times(n1, first), _times(n2, second)
    names = {first.stem: a, second.stem: b}
    draft.lead(
        f"Decode ограничен пропускной способностью памяти, поэтому у **{names[fast.stem]}** он"
        f" быстрее, чем у {names[slow.stem]}, примерно **в {draft.num(ratio, 2)} раза**"
        f" ({draft.num(max(band1, band2) / 1e12, 2)} ТБ/с против"
        f" {draft.num(min(band1, band2) / 1e12, 2)} ТБ/с). Это прогноз по roofline, не измерение"
        + ("; при TP часть съедает обмен между картами." if max(n1, n2) > 1 else "."),
        f"Decode is bound by memory bandwidth: **{names[fast.stem]}** is about **{ratio:.2f}×**"
        f" faster than {names[slow.stem]} (predicted by the roofline, not measured).",
    )
    _prefill(first, second, (n1, n2), draft)
    if question.has_model:
        _with_model(question, draft, (n1, n2))
    draft.add(_table(gpus[:4], question, draft))
    _advice(first, second, (n1, n2), draft)
    draft.work(
        "TPOT ≥ (байты весов + KV) / пропускная способность; prefill ≥ 2 × параметры × токены /"
        " FLOPS"
    )
    for gpu in gpus[:4]:
        cite_gpu(draft, gpu)


def _prefill(
    first: CatalogDevice, second: CatalogDevice, counts: tuple[int, int], draft: Draft
) -> None:
    """Prefill and large batches follow the arithmetic, in the best format of each."""
    rates = []
    for gpu, count in zip((first, second), counts, strict=True):
        rate = max(gpu.device.flops_per_s.get(name, 0.0) for name in ("bfloat16", "float16"))
        rates.append(rate * count)
    if not all(rates):
        return
    names = {
        gpu.stem: _times(count, gpu) for gpu, count in zip((first, second), counts, strict=True)
    }
    fast, slow, ratio = (
        (first, second, rates[0] / rates[1])
        if rates[0] >= rates[1]
        else (second, first, rates[1] / rates[0])
    )
    draft.lead(
        f"Prefill и большой batch держат вычисления: там **{names[fast.stem]}** быстрее"
        f" {names[slow.stem]} в"
        f" {draft.num(ratio, 2)} раза по пику в 16 битах (прогноз по roofline).",
        f"Prefill follows compute: {fast.name} is {ratio:.2f}× faster (predicted by the roofline).",
    )


def _times(count: int, gpu: CatalogDevice) -> str:
    return gpu.name if count == 1 else f"{count} × {gpu.name}"


def _with_model(question: Question, draft: Draft, counts: tuple[int, int]) -> None:
    said = question.frame.gpu_counts
    for index, gpu in enumerate(question.gpus[:2]):
        count = counts[index]
        setting = resolve(question.frame.replace(gpus=(gpu.stem,), gpu_counts=(count,)))
        if setting is None:
            return
        least = fewest(setting, setting.concurrency)
        if least and least[0] > count and not (index < len(said) and said[index]):
            few = room(setting)
            draft.add(
                f"**Одна {gpu.name}** не подходит: {setting.subject.title} в {setting.label} не"
                f" влезает (веса {draft.gib(few.weights_bytes)}, доступно"
                f" {draft.gib(few.usable_bytes)}); нужно {least[0]}."
            )
            count = least[0]
            setting = setting.change(count=count)
        if formats.how(setting.weights, gpu) == "no":
            setting = setting.change(weights="fp16")
        found = room(setting)
        if not found.loads:
            draft.add(
                f"**{_times(count, gpu)}**: {setting.subject.title} в {setting.label} не влезает"
                f" (веса {draft.gib(found.weights_bytes)}, доступно"
                f" {draft.gib(found.usable_bytes)})."
            )
            continue
        seen = forecast(question, setting)
        draft.add(
            f"**{_times(count, gpu)}**: {setting.subject.title} в {setting.label} влезает (веса"
            f" {draft.gib(found.weights_bytes)}), запросов в памяти {found.most}; TTFT"
            f" {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
            f" {draft.interval(seen.tpot_ms, 'мс', 'ms')} ({seen.speed_provenance.russian})."
        )
        _per_million(question, setting, draft)
        cite_prediction(draft, seen)
        assumptions(draft, setting, skip=("одна ",))


def _per_million(question: Question, setting: Setting, draft: Draft) -> None:
    """The price of tokens under load, where money is asked about."""
    if not question.has(r"сто[ия]|цен|выгодн|дешев|деньг|cost|price|миллион|млн"):
        return
    assert setting.gpu is not None
    price = typical_price(setting.gpu.stem)
    if price is None or price.on_demand_usd_per_h is None:
        return
    streams = question.frame.concurrency or max(1, min(32, room(setting).most))
    speed = forecast(question, setting.change(concurrency=streams)).output_tokens_per_s
    hourly = price.on_demand_usd_per_h * setting.count
    value = money.per_million(hourly, speed.value)
    draft.lead(
        f"{_times(setting.count, setting.gpu)}: около **{draft.money(value)} за 1M выходных"
        f" токенов** при {streams} одновременных ({draft.money(hourly)}/час,"
        f" {draft.interval(speed, 'ток/с', 'tok/s')}, прогноз, загрузка 100 %).",
        f"{_times(setting.count, setting.gpu)}: about {draft.money(value)} per 1M output tokens.",
    )
    draft.cite(price.describe(question.services.today))


def _table(gpus: list[CatalogDevice], question: Question, draft: Draft) -> str:
    def row(title: str, values: list[str]) -> str:
        return f"| {title} | {' | '.join(values)} |"

    def rate(gpu: CatalogDevice, name: str) -> str:
        value = gpu.device.flops_per_s.get(name)
        return draft.num(value / 1e12, 0) if value else draft.say("нет", "none")

    lines = [row("", [gpu.name for gpu in gpus]), row("---", ["---"] * len(gpus))]
    lines += [
        row(draft.say("Память, ГиБ", "Memory, GiB"), [draft.num(g.memory_gib, 0) for g in gpus]),
        row(
            draft.say("Пропускная способность, ГБ/с", "Bandwidth, GB/s"),
            [draft.num(g.device.bandwidth_bytes_per_s / 1e9, 0) for g in gpus],
        ),
        row("BF16, TFLOPS (dense)", [rate(g, "bfloat16") for g in gpus]),
        row("FP8, TFLOPS", [rate(g, "fp8") for g in gpus]),
        row("FP4, TFLOPS", [rate(g, "fp4") for g in gpus]),
        row("INT8, TOPS", [rate(g, "int8") for g in gpus]),
        row(draft.say("Связь", "Link"), [g.link for g in gpus]),
        row(draft.say("Цена, $/час", "Price, $/h"), [_price(g, question, draft) for g in gpus]),
    ]
    return "\n".join(lines)


def _price(gpu: CatalogDevice, question: Question, draft: Draft) -> str:
    price = typical_price(gpu.stem)
    if price is None or price.on_demand_usd_per_h is None:
        return "—"
    old = (
        draft.say(" (старше 90 дней)", " (older than 90 days)")
        if price.is_stale(question.services.today)
        else ""
    )
    return (
        f"{draft.money(price.on_demand_usd_per_h)} ({price.provider},"
        f" {price.provenance.date.isoformat()}){old}"
    )


def _advice(
    first: CatalogDevice, second: CatalogDevice, counts: tuple[int, int], draft: Draft
) -> None:
    notes = []
    memory = {
        gpu.stem: gpu.memory_gib * count for gpu, count in zip((first, second), counts, strict=True)
    }
    titles = {
        gpu.stem: _times(count, gpu) for gpu, count in zip((first, second), counts, strict=True)
    }
    for one, other in ((first, second), (second, first)):
        if one.native("fp8") and not other.native("fp8"):
            notes.append(
                f"FP8 считает только {one.name}; у {other.name} FP8 нет, там для скорости берите"
                " INT8 (W8A8), для памяти — INT4"
            )
        if memory[one.stem] > 1.2 * memory[other.stem]:
            notes.append(
                f"у {titles[one.stem]} больше памяти под KV cache: больше одновременных запросов"
            )
        if one.is_nvlinked and not other.is_nvlinked:
            notes.append(
                f"для нескольких карт с TP у {one.name} есть {one.link}, у {other.name} только PCIe"
            )
    if notes:
        draft.add("**Что ещё важно:** " + "; ".join(notes) + ".")


def _one(question: Question, gpu: CatalogDevice, draft: Draft) -> None:
    device = gpu.device
    native = [
        name
        for name in ("bf16", "fp16", "fp8", "int8", "nvfp4")
        if formats.how(name, gpu) == "native"
    ]
    asked = next(
        (
            s
            for s in question.frame.schemes
            if s in ("fp8", "int8", "bf16", "fp16", "nvfp4", "mxfp4")
        ),
        None,
    )
    if asked:
        has = formats.how(asked, gpu) == "native"
        draft.lead(
            f"**{'Да' if has else 'Нет'}:** {gpu.name} ({gpu.generation}, compute capability"
            f" {device.compute_capability}) {'поддерживает' if has else 'не поддерживает'}"
            f" {formats.label(asked)} аппаратно.",
            f"**{'Yes' if has else 'No'}:** {gpu.name} ({gpu.generation})"
            f" {'has' if has else 'has no'} native {formats.label(asked)}.",
        )
    draft.lead(
        f"{gpu.name} ({gpu.generation}): память {draft.num(gpu.memory_gib, 0)} ГиБ"
        f" {gpu.memory_type}, пропускная способность"
        f" **{draft.num(device.bandwidth_bytes_per_s / 1e9, 0)} ГБ/с**"
        f" ({draft.num(device.bandwidth_bytes_per_s / 1e12, 2)} ТБ/с), BF16"
        f" {draft.num(device.flops_per_s.get('bfloat16', 0) / 1e12, 0)} TFLOPS без sparsity;"
        f" считает в {', '.join(map(formats.label, native))}; связь: {gpu.link}.",
        f"{gpu.name}: {gpu.memory_gib:.0f} GiB {gpu.memory_type},"
        f" {device.bandwidth_bytes_per_s / 1e9:.0f} GB/s, native formats"
        f" {', '.join(map(formats.label, native))}, link {gpu.link}.",
    )
    if gpu.note:
        draft.add(gpu.note)
    cite_gpu(draft, gpu)
