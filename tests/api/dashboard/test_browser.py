"""The pages in a real Chromium: axe, both widths, live updates, without JavaScript, by keyboard."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Live
from tests.api.dashboard.conftest import DONE, OTHER, log_in, put_pairs
from tests.api.dashboard.test_pages import as_form

pytestmark = pytest.mark.browser
WIDTHS = (390, 1440)
PATIENCE_MS = 120_000
PAGES = {
    "sessions": "/", "session": f"/sessions/{DONE}", "report": f"/sessions/{DONE}/report",
    "queue": "/queue", "new": "/new", "compare": f"/compare?a={DONE}&b={OTHER}",
    "evaluations": "/eval", "rate": f"/eval/{DONE}", "results": f"/eval/{DONE}/results",
    "prepare": f"/eval/{OTHER}", "missing": "/sessions/none",
}  # fmt: skip


@pytest.fixture
def look(shown: Live, browser: Any) -> Iterator[Any]:
    """look(width, …) → a page that is logged in; what its console complains of is collected."""
    opened = []
    put_pairs(shown.server.app.state.service.store, DONE)
    with log_in(shown) as client:
        cookies = [
            {"name": name, "value": value, "url": shown.url}
            for name, value in [*client.cookies.items(), ("advisor_rater", "Анна".encode().hex())]
        ]

    def make(width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.add_cookies(cookies)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        return page

    yield make
    for context in opened:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    shown: Live, look: Any, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = look(width, color_scheme=scheme)
    page.goto(f"{shown.url}/sessions/{DONE}")
    trial = page.locator("table.trials td.first a").nth(2).get_attribute("href")
    for language in ("ru", "en"):
        page.goto(f"{shown.url}/language/{language}")
        for name, path in (PAGES | {"trial": trial}).items():
            page.goto(shown.url + path)
            page.locator("h1").first.wait_for()
            found = Axe().run(page).response["violations"]
            said = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]
            assert not said, f"{name} {width} {scheme} {language}"
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{name} scrolls sideways at {width}"
    assert not [text for text in page.complaints if "404" not in text]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_picture_is_shown_once_and_its_words_can_be_read(
    shown: Live, look: Any, width: int
) -> None:
    page = look(width)
    page.goto(f"{shown.url}/sessions/{DONE}")
    visible = page.locator("svg.chart:visible")
    assert visible.count() == 4  # Pareto, predictions, CPU, memory
    heights = visible.locator("text").evaluate_all(
        "all => all.map(t => t.getBoundingClientRect().height)"
    )
    assert min(heights) >= 10


def test_it_reads_without_javascript(shown: Live, look: Any) -> None:
    page = look(java_script_enabled=False)
    page.goto(shown.url)
    page.get_by_role("link", name=DONE).click()
    assert page.get_by_text("×2,11").first.is_visible()
    page.locator("details summary").first.click()
    assert page.get_by_text("Decode упирается в чтение весов").is_visible()
    page.get_by_role("link", name="Отчёт").click()
    assert page.get_by_role("heading", name="Quality Assessment").is_visible()


def test_a_running_session_fills_the_page_by_itself(shown: Live, look: Any) -> None:
    page = look()
    page.goto(f"{shown.url}/new")
    page.locator("#more summary").click()
    for name, value in as_form(shown).items():
        box = page.locator(f"[name={name}]")
        choose = box.evaluate("e => e.tagName") == "SELECT"
        (box.select_option if choose else box.fill)(value)
    page.get_by_role("button", name="Посчитать план").click()
    page.get_by_text("Займёт устройство").wait_for()
    page.get_by_role("button", name="Начать сессию").click()
    page.wait_for_url("**/sessions/*")
    address = page.url
    page.get_by_text("измеряется").first.wait_for()
    page.locator("tr.baseline").wait_for()
    page.locator("tr.production").nth(1).wait_for()
    page.locator(".state.done").wait_for()
    assert page.url == address
    page.get_by_role("link", name="Отчёт").wait_for()
    assert not page.complaints


def test_a_rater_needs_only_the_keyboard(shown: Live, look: Any) -> None:
    page = look(390)
    page.goto(f"{shown.url}/eval/{DONE}")
    for key, said in (("1", "Оценено 1 из 3"), ("0", "Оценено 2 из 3")):
        page.keyboard.press(key)
        page.get_by_text(said).first.wait_for()
    page.keyboard.press("2")
    page.wait_for_url("**/results")
    votes = shown.server.app.state.service.store.evaluation(DONE).votes
    assert len(votes) == 3
    assert sorted(vote.choice == "tie" for vote in votes) == [False, False, True]
