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
from advisor.consultation.calculators.capacity import sweep
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.prediction import Prediction

_FAST = (
    r"ttft|tpot|ток/с|токен\w*( в |/| за )с"
    r"|tok/s|tps|скорост|быстр|latency|задержк|латентн|сколько"
    r" времени|throughput|пропускную|производительн|"
    r"prefill|префил|первый токен|мс\b|отклик|через сколько|долго ли|how fast|успе(ет|ва)"
)
_MEASURED = (
    r"нормально\s*\?|"
    r"это (нормальн|много|мало|плохо|хорошо|ок)|нормальн\w* ли|мало ли|много ли|получаем|"
    r"получается|"
    r"у нас сейчас|сейчас у нас|выда[её]т всего|is (it|this|that) (normal|ok|bad)"
)
_LIMIT = (
    r"теор\w+|предел\w*|максимум по|физическ\w+|не выжать|больше скольки|"
    r"минимум|минимальн\w+|roofline|рулай?н|потолок|ограничен|упира\w+|bound\b|узкое"
    r" место"
)


EXAMPLES = (
    "сколько токенов в секунду даст модель на карта",
    "какой tpot будет у модели на карта",
    "какая задержка первого токена у модели",
    "как быстро будет отвечать модель на карта",
    "какая скорость генерации модели",
    "сколько ток/с на процессоре",
    "сколько времени займет ответ",
    "какие у меня будут ttft и tpot",
    "how fast is модель on карта",
    "what latency to expect",
    "скорость на одного пользователя если # пользователей",
    "мы получаем # ток/с на модель это мало",
    "# мс это нормально для модели на карта",
)
PART = True


def score(question: Question) -> float:
    limit, model = question.has(_LIMIT), question.has_model
    placed = model and bool(question.frame.gpus)
    bound = limit and question.has(r"tpot|скорост|генерац|decode|ток|ограничен|упира")
    judged = question.has(r"нормальн|мало|много|плохо|normal")
    cases = (
        (question.has(r"рассчит.*e2e|если ttft"), 0.0),
        (not limit and not question.has(_FAST), 0.0),
        (placed and question.has(_MEASURED), 9.2 if judged else 8.0),
        (placed and len(question.frame.gpus) > 1, 5.0),
        (placed, 8.4 if bound else 7.2),
        (question.has(r"будет ли быстро|быстро ли"), 5.5),
        (model, 5.0),
    )
    return next((value for holds, value in cases if holds), 2.2)


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
    if question.has(_MEASURED):
        _judge(question, setting, seen, draft)
        cite_prediction(draft, seen)
        return
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


def _judge(question: Question, setting: Setting, seen: Prediction, draft: Draft) -> None:
    """A figure that somebody measured against what is expected."""
    frame = question.frame
    for name, said, figure in (
        ("TTFT", frame.ttft_ms, seen.ttft_ms),
        ("TPOT", frame.tpot_ms, seen.tpot_ms),
    ):
        if said:
            word = (
                "**ненормально много**, выше верха интервала: ищите очередь, холодный старт, прокси"
                " или лишнюю работу CPU"
                if said > figure.high
                else "**в ожидаемых пределах**"
                if said >= figure.low
                else "**лучше прогноза**"
            )
            draft.add(
                f"Ваш {name} {draft.ms(said)}: {word}.",
                f"Your {name} {draft.ms(said)} against {draft.interval(figure, 'мс', 'ms')}.",
            )
    if frame.tokens_per_s:
        if frame.concurrency == 1 and _beyond(frame.tokens_per_s, setting, draft):
            return
        _judge_total(frame.tokens_per_s, setting, draft)


def _beyond(got: float, setting: Setting, draft: Draft) -> bool:
    """More than the roofline lets one request have: something else is going on, and it is said."""
    least = speed.floor(setting)
    if least is None or got <= 1000 / least.tpot_ms:
        return False
    draft.lead(
        f"**{draft.num(got, 0)} ток/с при одном запросе — больше физического предела**: roofline"
        f" здесь {draft.num(1000 / least.tpot_ms, 0)} ток/с. Значит, работает спекулятивное"
        " декодирование, веса в более узком формате, карт больше одной, или это сумма по"
        " нескольким запросам.",
        f"**{got:.0f} tok/s for one request is above the roofline** of"
        f" {1000 / least.tpot_ms:.0f} tok/s.",
    )
    return True


def _judge_total(got: float, setting: Setting, draft: Draft) -> None:
    """Tokens per second of the whole against what the deployment can give at its best."""
    points = sweep(setting)
    if not points:
        return
    best = max(points, key=lambda point: point.seen.output_tokens_per_s.value)
    most = best.seen.output_tokens_per_s
    like = next((p.streams for p in points if p.seen.output_tokens_per_s.value >= got), None)
    share = got / most.value
    word = "мало" if share < 0.5 else "близко к пределу" if share > 0.8 else "средне"
    draft.lead(
        f"**{draft.num(got, 0)} ток/с — это {word}**: около {draft.num(share * 100, 0)} % от того,"
        f" что даёт полная загрузка ({draft.interval(most, 'ток/с', 'tok/s')} при"
        f" {best.streams} одновременных, прогноз)"
        + (f"; столько ожидается уже при {like} одновременных." if like else "."),
        f"**{got:g} tok/s** is about {share:.0%} of {draft.interval(most, 'ток/с', 'tok/s')}.",
    )
    draft.add(
        "Общая скорость растёт с числом одновременных запросов: при малом batch карта"
        " недогружена, и"
        " поднимает её нагрузка, а не настройки. Если запросов и так много, смотрите очередь, KV"
        " cache и preemption."
    )


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
