"""What the bot says of a session: the text of its message, and the buttons of a question."""

from collections.abc import Sequence
from typing import Any

from api.chat.answer import status_text
from api.schemas import SessionDetail
from api.service import Service
from api.slack.mrkdwn import escape, to_mrkdwn

ACTIVE = ("queued", "running", "cancelling")
_SIGNS = {
    "queued": ":hourglass:",
    "running": ":gear:",
    "cancelling": ":hourglass:",
    "done": ":white_check_mark:",
    "infeasible": ":warning:",
    "cancelled": ":no_entry_sign:",
    "failed": ":x:",
    "interrupted": ":warning:",
}
_LONGEST_LINE = 200
HELP = (
    "• `/advisor optimize demo --workload chat --objective ttft --slo ttft_p95=200ms --budget 30m`"
    " — начать сессию\n"
    "• `/advisor plan МОДЕЛЬ …` — что она попробует, без запуска\n"
    "• `/advisor ask ВОПРОС` — спросить\n"
    "• `/advisor status [НОМЕР]` — как дела\n"
    "Сессию останавливает реакция :x: на её сообщении. Мне можно писать и в личку, "
    "и упоминанием в канале."
)


def board_text(detail: SessionDetail, lines: Sequence[str], service: Service) -> str:
    """The whole message: how it stands, the last lines of its log while it goes on."""
    said = f"{_SIGNS.get(detail.state, '')} {to_mrkdwn(status_text(detail, service))}"
    if detail.state not in ACTIVE:
        return said
    shown = "\n".join(f"> {escape(_short(line))}" for line in lines)
    return "\n\n".join(part for part in (said, shown, "Остановить: реакция :x:") if part)


def question_blocks(session: str, question: str, text: str) -> list[dict[str, Any]]:
    """A question with its two buttons."""
    value = f"{session} {question}"
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f":raised_hand: {escape(text)}"}},
        {
            "type": "actions",
            "elements": [
                _button("approve", "Одобрить", value, "primary"),
                _button("decline", "Пропустить", value, "danger"),
            ],
        },
    ]


def answered(text: str, said: str) -> list[dict[str, Any]]:
    """The question without buttons, with the answer; `said` is mrkdwn of ours."""
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{escape(text)}\n{said}"}},
    ]


def verdict(event: dict[str, object]) -> str:
    """One line of mrkdwn for the answer to a question."""
    by = str(event.get("by") or "")
    if event.get("approved"):
        return f":white_check_mark: Одобрено: {by}"
    return f":no_entry_sign: Пропускаем: {by or event.get('reason', '')}"


def _button(action: str, label: str, value: str, style: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "action_id": action, "text": text, "value": value, "style": style}


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
