"""The pages as any client gets them: what they show, who may see them, what they refuse."""

import re
from typing import Any

import httpx2
import pytest

from api.auth import COOKIE
from api.dashboard.language import LANGUAGES, english
from tests.api.conftest import Live, quick, wait_for, wait_state
from tests.api.dashboard import words
from tests.api.dashboard.conftest import DONE, EVIL, OTHER, csrf, log_in, put_pairs

PAGES = ("/", "/queue", "/compare", "/new", "/eval", f"/sessions/{DONE}", f"/eval/{DONE}",
         f"/sessions/{DONE}/report", f"/compare?a={DONE}&b={OTHER}")  # fmt: skip


def test_every_text_has_its_english_and_no_english_is_left_over() -> None:
    assert words.texts() == set(english())
    russian, in_english = LANGUAGES["ru"], LANGUAGES["en"]
    assert russian.number(1234.5, 1) == "1\u202f234,5"
    assert in_english.number(1234.5, 1) == "1,234.5"
    assert in_english.duration(725).replace("\u00a0", " ") == "12 min 5 s"
    for text, translated in english().items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", translated), text
        assert not re.search("[а-яё]", translated), text


def test_without_a_key_every_page_leads_to_the_login_and_shows_nothing(shown: Live) -> None:
    with httpx2.Client(base_url=shown.url) as stranger:
        for path in (*PAGES, f"/sessions/{DONE}/trials/t01-00000000", f"/eval/{DONE}/results"):
            answer = stranger.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login?next=%2F"), path
            assert "SmolLM2" not in answer.text
        stranger.cookies.set(COOKIE, "forged")
        assert stranger.get("/").status_code == 303
        for wrong in ("", "x", shown.run_key[:-3] + "abc"):
            refused = stranger.post("/login", data={"key": wrong}, headers={"Origin": shown.url})
            assert refused.status_code == 401
            assert "set-cookie" not in refused.headers


def test_the_login_cookie_is_out_of_reach_of_scripts_and_other_sites(shown: Live) -> None:
    with httpx2.Client(base_url=shown.url) as client:
        form = {"key": shown.read_key, "next": "/queue"}
        foreign = client.post("/login", data=form, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        answer = client.post("/login", data=form, headers={"Origin": shown.url})
        assert answer.headers["location"] == "/queue"
        cookie = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= set(re.split(r";\s*", cookie))
        assert client.get("/queue").status_code == 200
        token = csrf(client)
        copied = client.cookies[COOKIE]
        out = client.post("/logout", data={"csrf": token}, headers={"Origin": shown.url})
        assert out.status_code == 303
        client.cookies.set(COOKIE, copied)
        assert client.get("/queue").status_code == 303, "a copied cookie survives the logout"


@pytest.mark.parametrize("there", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_login_leads_nowhere_else(shown: Live, there: str) -> None:
    with httpx2.Client(base_url=shown.url, headers={"Origin": shown.url}) as client:
        answer = client.post("/login", data={"key": shown.read_key, "next": there})
        assert answer.headers["location"] == "/"
        assert client.get("/language/en", params={"next": there}).headers["location"] == "/"


def test_pages_carry_a_strict_policy_and_no_inline_code(shown: Live) -> None:
    with log_in(shown) as client:
        for path in (*PAGES, "/sessions/none", "/login"):
            answer = client.get(path, follow_redirects=True)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers.get_list("referrer-policy") == ["same-origin"]
            assert answer.headers["x-frame-options"] == "DENY"
            assert not re.search(r"<script(?! src=)|\sstyle=|\son\w+=", answer.text), path


def test_hostile_names_are_text_everywhere(shown: Live) -> None:
    put_pairs(shown.server.app.state.service.store, OTHER)
    with log_in(shown) as client:
        client.cookies.set("advisor_rater", "Анна".encode().hex())
        for path in ("/", f"/sessions/{OTHER}", f"/compare?a={OTHER}&b={DONE}",
                     f"/sessions/{OTHER}/report", f"/eval/{OTHER}", f"/?state={EVIL}",
                     f"/compare?a={EVIL}&b=x", f"/language/{EVIL}"):  # fmt: skip
            answer = client.get(path, follow_redirects=True)
            assert EVIL not in answer.text, path
        assert "&lt;script&gt;" in client.get(f"/sessions/{OTHER}").text


def test_a_session_page_tells_the_whole_story(shown: Live) -> None:
    with log_in(shown, shown.read_key) as client:
        html = client.get(f"/sessions/{DONE}").text
        for said in ("×2,11", "найденная конфигурация", "не доказано", "хуже допуска",
                     "пропускная способность памяти", "ждали ×1,40…2,00", "246,9"):  # fmt: skip
            assert said in html, said
        for chart in ("pareto wide", "forecast narrow", "series wide"):
            assert f'class="chart {chart}"' in html
        assert "Остановить" not in html
        assert html.count("<tr class=") == 10
        trial = re.search(rf"/sessions/{DONE}/trials/(t02-\w+)", html)
        assert trial
        page = client.get(trial[0]).text
        assert "Токены по секундам" in page
        assert "TTFT каждого запроса" in page
        report = client.get(f"/sessions/{DONE}/report").text
        assert "<h2>Оптимизация LLM Inference" in report
        (picture,) = set(re.findall(r'src="(/v1/[^"]+pareto\.png)"', report))
        assert client.get(picture).content.startswith(b"\x89PNG")


def test_the_switch_speaks_english_and_keeps_the_page(shown: Live) -> None:
    with log_in(shown) as client:
        there = client.get("/language/en", params={"next": f"/sessions/{DONE}"})
        assert there.headers["location"] == f"/sessions/{DONE}"
        html = client.get(f"/sessions/{DONE}").text
        assert '<html lang="en">' in html
        assert "Handed in" in html
        assert "246.9" in html
        assert "Замеры" not in html


def test_a_comparison_says_what_differs(shown: Live) -> None:
    with log_in(shown) as client:
        html = client.get(f"/compare?a={DONE}&b={OTHER}").text
        assert "различаются: Модель" in html
        assert html.count("×1,00") >= 10
        assert client.get(f"/compare?a={DONE}&b=20200101-000000-0000").status_code == 404


def test_a_plan_is_shown_and_nothing_starts(shown: Live) -> None:
    with log_in(shown, shown.read_key) as client:
        form = as_form(shown) | {"csrf": csrf(client), "action": "plan"}
        answer = client.post("/new", data=form)
        assert answer.status_code == 200
        assert "Займёт устройство" in answer.text
        assert 'value="24"' in answer.text, "the form forgets what was typed"
        form |= {"action": "start", "csrf": csrf(client)}
        refused = client.post("/new", data=form)
        assert refused.status_code == 403
        assert client.get("/queue").text.count("место") == 0
        assert len(client.get("/v1/sessions").json()["data"]) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": "soon"}, "soon"),
        ({"model": "/etc"}, "вне разрешённых папок"),
        ({"trials": "many"}, "trials"),
        ({"slo": "ttft=fast"}, "ttft"),
        ({"flags": "=5"}, "флаг"),
        ({"workload": "chta"}, "chat"),
        ({"flags": "trust-remote-code"}, "trust"),
    ],
)
def test_a_wrong_form_comes_back_with_its_mistake(
    shown: Live, change: dict[str, str], said: str
) -> None:
    with log_in(shown) as client:
        form = as_form(shown) | {"csrf": csrf(client), "action": "start"} | change
        answer = client.post("/new", data=form)
        assert answer.status_code in (400, 403)
        assert said in answer.text.split('role="alert"')[1].split("</p>")[0]
        assert len(client.get("/v1/sessions").json()["data"]) == 2


def test_forms_of_other_sites_and_old_forms_do_nothing(shown: Live) -> None:
    with log_in(shown) as client, log_in(shown) as other:
        form = as_form(shown) | {"action": "start"}
        for token in ("", "x", csrf(other)):
            assert client.post("/new", data=form | {"csrf": token}).status_code == 403
        mine = form | {"csrf": csrf(client)}
        for origin in ("https://evil.example", "null", shown.url.replace("http", "https") + "0"):
            sent = client.post("/new", data=mine, headers={"Origin": origin})
            assert sent.headers.get("location", "").startswith("/login"), origin
        for path in (f"/sessions/{DONE}/cancel", f"/sessions/{DONE}/resume", f"/eval/{DONE}"):
            assert client.post(path, data={"csrf": "x"}).status_code == 403, path
        assert len(client.get("/v1/sessions").json()["data"]) == 2


def test_a_session_from_the_form_to_the_page(shown: Live) -> None:
    with log_in(shown) as client, log_in(shown, shown.read_key) as reader:
        form = as_form(shown) | {"csrf": csrf(client), "action": "start", "once": "abc"}
        first = client.post("/new", data=form).headers["location"]
        assert client.post("/new", data=form).headers["location"] == first, "a double click"
        session = first.rsplit("/", 1)[1]
        denied = reader.post(f"{first}/cancel", data={"csrf": csrf(reader)})
        assert denied.status_code == 403
        assert "data-events=" in client.get(first).text
        wait_for(lambda: "t01" in client.get(f"{first}?part=live").text, "the baseline on the page")
        assert "<html" not in client.get(f"{first}?part=live").text
        wait_state(client, session, "done")
        html = client.get(first).text
        assert "симулятор" in html
        assert "CPU (100 %" in html, "no telemetry over time"
        assert "data-events=" not in html
        assert ">dashboard<" in client.get("/").text


def as_form(live: Live) -> dict[str, str]:
    body: dict[str, Any] = quick(live.models / "tiny")
    return {name: str(value) for name, value in body.items() if name != "naive"} | {"naive": "no"}
