"""The exam: questions with answers worked out apart, and how an answer is checked against them."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from advisor.consultation import Message, Services, consult

FOLDER = Path(__file__).parent / "questions"
TODAY = date(2026, 11, 23)
_SPACES = str.maketrans({"\u202f": "", "\u00a0": " "})
_NUMBER = r"(?<![\d.,])(\d+(?: \d{3})*(?:[.,]\d+)?)"
_BYTES = {
    "ГиБ": 2**30,
    "GiB": 2**30,
    "МиБ": 2**20,
    "MiB": 2**20,
    "КиБ": 2**10,
    "KiB": 2**10,
    "ГБ": 1e9,
    "GB": 1e9,
}
_TIMES = {"мс": 1.0, "ms": 1.0, "с": 1000.0, "s": 1000.0}


@dataclass(frozen=True)
class Graded:
    """An answer and what was wrong with it; right when nothing was."""

    question: dict[str, Any]
    text: str
    wrong: tuple[str, ...]


def load(name: str) -> list[dict[str, Any]]:
    """The questions of one file."""
    fields = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return [question | {"group": fields["group"]} for question in fields["questions"]]


def files() -> list[str]:
    """The exam's files; what is held out stands apart."""
    return sorted(
        path.stem for path in FOLDER.glob("*.yaml") if not path.stem.startswith("held_out")
    )


def held_out() -> list[str]:
    """The sets that were written apart from the exam, by their file names."""
    return sorted(
        path.stem for path in FOLDER.glob("held_out*.yaml") if not path.stem.endswith("_open")
    )


def open_ones() -> list[str]:
    """Held-out questions that nobody has answered yet: they wait, and are counted as wrong."""
    return sorted(path.stem for path in FOLDER.glob("held_out*_open.yaml"))


async def ask(question: dict[str, Any], services: Services | None = None) -> str:
    """The text of the answer, the whole conversation before it included."""
    services = services or Services(today=TODAY)
    messages: list[Message] = []
    for earlier in question.get("history", ()):
        messages.append(Message(role="user", content=earlier))
        messages.append(Message(role="assistant", content="(ответ)"))
    messages.append(Message(role="user", content=question["q"]))
    return "".join(
        [piece.text async for piece in consult(messages, services=services) if piece.kind == "text"]
    )


async def grade(question: dict[str, Any]) -> Graded:
    """Ask and check: required, forbidden and figures."""
    text = await ask(question)
    plain = text.translate(_SPACES).replace("**", "")
    wrong = [
        f"нет /{pattern}/"
        for pattern in question.get("must", ())
        if not re.search(pattern, plain, re.I)
    ]
    wrong += [
        f"есть /{pattern}/"
        for pattern in question.get("not", ())
        if re.search(pattern, plain, re.I)
    ]
    wrong += [
        f"нет числа {figure}" for figure in question.get("figures", ()) if not _found(figure, plain)
    ]
    return Graded(question, text, tuple(wrong))


def _found(figure: dict[str, Any], text: str) -> bool:
    kind = next(key for key in figure if key not in ("tol", "unit", "abs"))
    values = _values(kind.removesuffix("_between"), text, figure.get("unit", ""))
    if kind.endswith("_between"):
        low, high = map(_reckoned, figure[kind])
        return any(low <= value <= high for value in values)
    expected = _reckoned(figure[kind])
    margin = max(float(figure.get("abs", 0)), abs(expected) * float(figure.get("tol", 0)))
    return any(abs(value - expected) <= margin for value in values)


def _reckoned(expression: object) -> float:
    return float(eval(str(expression), {"__builtins__": {}}))  # noqa: S307 (our own file)


def _values(kind: str, text: str, unit: str) -> list[float]:
    if kind == "bytes":
        return _scaled(text, _BYTES)
    if kind == "ms":
        return _scaled(text, _TIMES)
    if kind == "tps":
        return _numbers(text, r"\s*(?:\[[^\]]*\]\s*)?(?:ток/с|tok/s)")
    if kind == "usd":
        return [
            _float(m[1]) for m in re.finditer(r"\$\s*" + _NUMBER.replace(r"(?<![\d.,])", ""), text)
        ]
    return _numbers(text, rf"\s*(?:\[[^\]]*\]\s*)?(?:{unit})" if unit else "")


def _scaled(text: str, units: dict[str, float]) -> list[float]:
    names = "|".join(sorted(units, key=len, reverse=True))
    return [
        _float(m[1]) * units[m[2]]
        for m in re.finditer(rf"{_NUMBER}\s*(?:\[[^\]]*\]\s*)?({names})(?![a-zа-яё])", text)
    ]


def _numbers(text: str, after: str) -> list[float]:
    return [_float(m[1]) for m in re.finditer(_NUMBER + after, text, re.I)]


def _float(text: str) -> float:
    return float(text.replace(" ", "").replace(",", "."))
