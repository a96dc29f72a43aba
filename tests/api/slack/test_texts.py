"""Markdown to mrkdwn and back: nothing that a user or a model writes becomes markup of Slack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.settings import Settings
from api.slack.mrkdwn import MOST, pieces, to_mrkdwn, to_plain
from api.slack.places import Place, place_of, principal_of


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**да** и `**нет**`", "*да* и `**нет**`"),
        ("## Итог", "*Итог*"),
        ("- раз\n- два", "• раз\n• два"),
        ("[отчёт](https://a.b/c)", "<https://a.b/c|отчёт>"),
        ("<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;@U1&gt;"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
    ],
)
def test_mrkdwn(markdown: str, shown: str) -> None:
    assert to_mrkdwn(markdown) == shown


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("<@UBOT> оптимизируй demo", "оптимизируй demo"),
        ("plan <http://model.gguf|model.gguf>", "plan model.gguf"),
        ("ttft_p95&lt;=200ms", "ttft_p95<=200ms"),
        ("&amp;lt;", "&lt;"),
        ("<https://a.b/c>", "https://a.b/c"),
    ],
)
def test_plain(sent: str, typed: str) -> None:
    assert to_plain(sent, "UBOT") == typed


@given(st.text())
def test_no_text_pings_anybody(text: str) -> None:
    assert "<!" not in to_mrkdwn(text)
    assert "<@" not in to_mrkdwn(text)


@given(st.text(alphabet="ab \n", max_size=4 * MOST))
def test_pieces_fit_and_lose_nothing_but_breaks(text: str) -> None:
    found = pieces(text)
    assert all(len(piece) <= MOST for piece in found)
    assert "".join(found).replace("\n", "") == text.replace("\n", "")


def test_places_and_scopes() -> None:
    settings = Settings(slack_read=("C2",), slack_run=("C1", "U1"))
    assert principal_of(settings, "U1", "C1").may("run")
    assert not principal_of(settings, "U1", "C2").may("run"), "the channel decides, not the user"
    assert principal_of(settings, "U1", "C2").may("read")
    assert principal_of(settings, "U1", "D5").may("run")
    assert not principal_of(settings, "U2", "D5").may("read")
    assert principal_of(Settings(slack_read=("*",)), "U2", "C8").scopes == {"read"}
    assert principal_of(Settings(), "U1", "C1").scopes == frozenset()
    assert place_of("slack:#llm") == Place("#llm")
    assert place_of("mail:x") is None
    assert place_of(None) is None
