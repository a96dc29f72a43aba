"""TTFT, TPOT, E2E, tokens per second and Little's law from numbers that the user gives."""

from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

_LITTLE = (
    r"одновременн|в работе|висит|concurren|in flight|в полете|rps|запросов в"
    r" секунду|запр/с|литтл|little|qps"
)
_TROUBLE = r"почему|что делать|в ч[её]м дело|медлен|как ускорить|тормоз"


EXAMPLES = (
    "ttft # мс tpot # мс ответ # токенов сколько ждать",
    "сколько одновременно при # rps и # секунд",
    "# потоков ответ # секунд какой rps",
    "# ток/с на юзера это достаточно",
    "переведи tpot в токены в секунду",
)


def score(question: Question) -> float:
    frame = question.own
    sized = question.has_model and question.has(r"сколько[^.?]{0,15}(карт|gpu|видеокарт|h100|a100)")
    if question.has(_TROUBLE) or frame.gpu_hour or sized:
        return 0
    known = sum(value is not None for value in (frame.ttft_ms, frame.tpot_ms, frame.e2e_ms))
    lone = not (frame.gpus or question.own.models)
    littles = frame.requests_per_s and (frame.e2e_ms or frame.concurrency)
    littles = littles or (frame.concurrency and frame.e2e_ms and question.has(_LITTLE))
    upside_down = frame.ttft_ms and frame.e2e_ms and frame.e2e_ms < frame.ttft_ms
    cases = (
        (frame.tpot_ms and (frame.user_tokens_per_s or frame.tokens_per_s), 9.3),
        (frame.output_tokens and known >= 2, 9.3),
        (upside_down, 9.3),
        (littles, 9.1),
        (lone and frame.tpot_ms and question.has(r"ток|tok|скорост|сколько|e2e|ответ"), 8.7),
        (lone and frame.user_tokens_per_s and question.has(r"tpot|itl|мс|задержк|хват|норм"), 8.7),
        (frame.e2e_ms and question.frame.requests_per_s and question.follow_up, 8.0),
        (frame.ttft_ms and frame.e2e_ms, 4.0),
    )
    return next((value for holds, value in cases if holds), 0.0)


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    if frame.requests_per_s or (frame.concurrency and frame.e2e_ms and question.has(_LITTLE)):
        _little(question, draft)
        return
    tokens = frame.output_tokens
    if frame.ttft_ms is not None and frame.tpot_ms and tokens:
        total = frame.ttft_ms + frame.tpot_ms * (tokens - 1)
        draft.note_figure("e2e_ms", total)
        draft.lead(
            f"**E2E = {draft.num(total, 0)} мс ({draft.num(total / 1000, 1)} с).**",
            f"**E2E = {total:.0f} ms ({total / 1000:.1f} s).**",
        )
        draft.work(
            f"E2E = TTFT + TPOT × (выходных токенов − 1) = {draft.num(frame.ttft_ms, 0)} +"
            f" {draft.num(frame.tpot_ms, 1)} × {tokens - 1} = {draft.num(total, 0)} мс",
            f"E2E = TTFT + TPOT × (output tokens − 1) = {frame.ttft_ms:g} + {frame.tpot_ms:g} ×"
            f" {tokens - 1} = {total:.0f} ms",
        )
    elif frame.e2e_ms and frame.ttft_ms is not None and tokens and tokens > 1:
        tpot = (frame.e2e_ms - frame.ttft_ms) / (tokens - 1)
        draft.note_figure("tpot_ms", tpot)
        draft.lead(
            (
                f"**TPOT = {draft.num(tpot, 1)} мс** ({draft.num(1000 / tpot, 1)} ток/с на поток)."
                if tpot > 0
                else "Так не бывает: E2E меньше TTFT."
            ),
            f"**TPOT = {tpot:.1f} ms**.",
        )
        draft.work(
            f"TPOT = (E2E − TTFT) / (выходных токенов − 1) = ({draft.num(frame.e2e_ms, 0)} −"
            f" {draft.num(frame.ttft_ms, 0)}) / {tokens - 1} = {draft.num(tpot, 1)} мс"
        )
    elif frame.e2e_ms and frame.tpot_ms and tokens:
        ttft = frame.e2e_ms - frame.tpot_ms * (tokens - 1)
        draft.lead(
            (
                f"**TTFT = {draft.ms(ttft)}.**"
                if ttft > 0
                else (
                    "**Числа противоречат друг другу:** одни токены занимают больше, чем весь"
                    " ответ."
                )
            ),
            f"**TTFT = {ttft:.0f} ms.**",
        )
        draft.work(
            f"TTFT = E2E − TPOT × (токенов − 1) = {draft.num(frame.e2e_ms, 0)} −"
            f" {draft.num(frame.tpot_ms, 1)} × {tokens - 1} = {draft.num(ttft, 0)} мс"
        )
    elif frame.tpot_ms:
        draft.note_figure("user_tokens_per_s", 1000 / frame.tpot_ms)
        draft.lead(
            f"**TPOT {draft.ms(frame.tpot_ms)} — это {draft.num(1000 / frame.tpot_ms, 1)} ток/с на"
            f" пользователя.** {_feel(1000 / frame.tpot_ms)}",
            f"**TPOT {frame.tpot_ms:g} ms is {1000 / frame.tpot_ms:.1f} tok/s per user.**",
        )
        draft.work(
            f"1000 / {draft.num(frame.tpot_ms, 1)} мс = {draft.num(1000 / frame.tpot_ms, 1)} ток/с"
        )
    elif frame.user_tokens_per_s:
        draft.note_figure("tpot_ms", 1000 / frame.user_tokens_per_s)
        draft.lead(
            f"**Нужен TPOT {draft.num(1000 / frame.user_tokens_per_s, 1)} мс.**"
            f" {_feel(frame.user_tokens_per_s)}",
            f"**You need a TPOT of {1000 / frame.user_tokens_per_s:.1f} ms.**",
        )
        draft.work(
            f"1000 / {draft.num(frame.user_tokens_per_s, 1)} ток/с ="
            f" {draft.num(1000 / frame.user_tokens_per_s, 1)} мс"
        )
    else:
        draft.lead(
            "E2E = TTFT + TPOT × (выходных токенов − 1): назовите три из четырёх чисел.",
            "E2E = TTFT + TPOT × (output tokens − 1).",
        )
    draft.cite(
        draft.say(
            "определения TTFT, TPOT и E2E, как в vLLM и GuideLLM",
            "definitions of TTFT, TPOT and E2E as in vLLM and GuideLLM",
        )
    )


def _feel(speed: float) -> str:
    """Reading speed of a person is 5 to 10 tokens a second."""
    if speed >= 15:
        return "Человек читает примерно 5–10 ток/с, так что для чата этого достаточно."
    return (
        "Это около скорости чтения (5–10 ток/с): для чата терпимо, для агента медленно."
        if speed >= 5
        else "Это медленнее, чем человек читает."
    )


def _little(question: Question, draft: Draft) -> None:
    frame = question.frame
    rate, streams, seconds = frame.requests_per_s, frame.concurrency, (frame.e2e_ms or 0) / 1000
    if rate and seconds:
        value = rate * seconds
        draft.note_figure("concurrency", value)
        draft.lead(
            f"**Одновременно в работе {draft.num(value, 0)} запросов** (закон Литтла).",
            f"**{value:.0f} requests in flight** (Little's law).",
        )
        draft.work(
            f"L = λ · W = {draft.num(rate, 1)} запр./с × {draft.num(seconds, 1)} с ="
            f" {draft.num(value, 0)}"
        )
        draft.add(
            "Столько мест нужно в `--max-num-seqs` и в KV cache; с запасом на всплески — в"
            " полтора–два раза больше, иначе растёт очередь и TTFT."
        )
    elif streams and seconds:
        value = streams / seconds
        draft.note_figure("requests_per_s", value)
        draft.lead(
            f"**{draft.num(value, 1)} запросов в секунду** (закон Литтла).",
            f"**{value:.1f} requests per second** (Little's law).",
        )
        draft.work(f"λ = L / W = {streams} / {draft.num(seconds, 1)} с = {draft.num(value, 2)} rps")
    elif rate and streams:
        value = streams / rate
        draft.lead(
            f"**Запрос должен занимать не больше {draft.num(value, 2)} с** (закон Литтла).",
            f"**A request may take {value:.2f} s at most.**",
        )
        draft.work(f"W = L / λ = {streams} / {draft.num(rate, 1)} = {draft.num(value, 2)} с")
    draft.cite(draft.say("закон Литтла (Little, 1961)", "Little's law (Little, 1961)"))
