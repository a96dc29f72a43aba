"""How long the weights take to load or to download, and how much disk they need."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import assumptions, cite_model
from advisor.consultation.calculators.memory import weights_bytes
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft

_PATHS = (
    ("NVMe", 3.0e9),
    ("SATA SSD", 0.5e9),
    ("HDD", 0.15e9),
)


EXAMPLES = (
    "сколько времени грузится модель с диска",
    "сколько диска нужно под веса модели",
    "как долго скачивать веса по сети # гбит",
    "сколько займет загрузка модели с nvme",
    "how long does loading take",
)
NEEDS = ("has_model",)
PART = True


def score(question: Question) -> float:
    if not question.has_model:
        return 0
    loads = question.has(
        r"(сколько|как долго|как быстро|скорость|долго ли|how long)[^.?]{0,40}"
        r"(грузи|загру[зж]|скача|качать|старт|подним|load|download)"
    )
    disk = question.has(r"(сколько|какой)[^.?]{0,20}(диск|места на|disk|storage)")
    return 9.0 if loads or disk else 0


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame)
    assert setting is not None
    size = weights_bytes(setting)
    draft.note_figure("weights_bytes", size)
    draft.lead(
        f"Веса {setting.subject.title} в {setting.label} — **{draft.gib(size)}**"
        f" ({draft.num(size / 1e9, 0)} ГБ); на диске держите вдвое больше: кеш хаба и новая версия"
        " рядом со старой.",
        f"The weights of {setting.subject.title} in {setting.label}: **{draft.gib(size)}**.",
    )
    paths = list(_PATHS)
    said = question.frame.gbit_per_s
    if said:
        paths.insert(0, (f"сеть {said:g} Гбит/с", said * 1e9 / 8))
    times = "; ".join(f"{name} — {_time(size / speed, draft)}" for name, speed in paths)
    draft.lead(f"Чтение весов, расчёт: {times}.", f"Reading, computed: {times}.")
    draft.add(
        "К этому добавьте запуск движка: импорт и инициализация 20–40 с, torch.compile и захват"
        " CUDA graphs — от десятков секунд до нескольких минут при пустом кеше компиляции; это"
        " оценка, точное время покажет первый запуск. Потом несколько запросов на прогрев.",
        "Add engine start, compilation and CUDA graphs: tens of seconds to minutes.",
    )
    draft.work(
        f"{draft.num(size / 1e9, 1)} ГБ / скорость; "
        + ", ".join(f"{name} {draft.num(speed / 1e9, 2)} ГБ/с" for name, speed in paths),
        "size / speed",
    )
    _notes.write("slow-loading", draft)
    draft.assume(
        "скорости дисков — обычные для последовательного чтения", "usual sequential disk speeds"
    )
    assumptions(draft, setting, skip=("вход", "одновременных", "KV", "одна "))
    cite_model(draft, setting.subject.known)


def _time(seconds: float, draft: Draft) -> str:
    if seconds < 120:
        return draft.unit(seconds, "с", "s", 0)
    return draft.unit(seconds / 60, "мин", "min", 0 if seconds > 600 else 1)
