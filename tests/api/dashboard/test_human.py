"""The blind evaluation, from prompts to the report."""

import re
from collections import Counter

from api.human.maker import prompts_of
from tests.api.conftest import Live, wait_for, wait_state
from tests.api.dashboard.conftest import DONE, EVIL, csrf, log_in, put_pairs
from tests.api.dashboard.test_pages import as_form


def pair_on(html: str) -> tuple[str, str, str]:
    """(pair, text on the left, text on the right)."""
    left, right = re.findall(r'<div class="answer">(.*?)</div>', html, re.DOTALL)
    found = re.search(r'name="pair" value="(\w+)"', html)
    assert found
    return found[1], left, right


def introduce(client, name: str) -> None:  # type: ignore[no-untyped-def]
    token = csrf(client, f"/eval/{DONE}")
    answer = client.post(f"/eval/{DONE}/rater", data={"csrf": token, "name": name})
    assert answer.status_code == 303


def test_raters_judge_blind_and_the_report_says_what_they_found(shown: Live) -> None:
    store = shown.server.app.state.service.store
    made = put_pairs(store, DONE, 13)  # of which one pair is identical and never shown
    places: Counter[bool] = Counter()
    for number in range(3):
        with log_in(shown, shown.read_key) as client:
            introduce(client, f"Оценщик {number}")
            for judged in range(12):
                html = client.get(f"/eval/{DONE}").text
                assert f"Оценено {judged} из 12" in html
                shown_page = html.split("<main")[1].lower()
                for secret in ("baseline", "candidate", "winner", "optimized", "bfloat16",
                               made.baseline_trial_id, made.candidate_trial_id):  # fmt: skip
                    assert secret not in shown_page
                pair, left, right = pair_on(html)
                assert (pair, left, right) == pair_on(client.get(f"/eval/{DONE}").text)
                new_left = left.startswith("новый")
                places[new_left] += 1
                choice = "tie" if judged == 0 else "left" if new_left else "right"
                form = {"csrf": csrf(client, f"/eval/{DONE}"), "pair": pair, "choice": choice}
                answer = client.post(f"/eval/{DONE}", data=form)
            assert answer.headers["location"] == f"/eval/{DONE}/results"
    assert min(places.values()) >= 5, "the order is not random"
    found = store.evaluation(DONE)
    votes = Counter(vote.choice for vote in found.votes)
    assert votes == {"candidate": 33, "tie": 3}
    with log_in(shown) as client:
        results = client.get(f"/eval/{DONE}/results").text
        assert "Внести в отчёт" in results
        report = client.get(f"/v1/sessions/{DONE}/report").text
    quality = report.split("## Quality Assessment")[1].split("\n## ")[0].replace("\u00a0", " ")
    assert "Оценивали: 3 человека, оценено 13 из 13 пар, из них совпали дословно 1." in quality
    assert "| 36 | 33 | 3 | 0 |" in quality
    assert "люди предпочитают Optimized" in quality
    assert "альфа Криппендорфа" in quality


def test_a_second_thought_replaces_the_first(shown: Live) -> None:
    store = shown.server.app.state.service.store
    put_pairs(store, DONE, 3)
    with log_in(shown) as client:
        introduce(client, "Анна")
        token = csrf(client, f"/eval/{DONE}")
        for choice in ("left", "tie"):
            client.post(f"/eval/{DONE}", data={"csrf": token, "pair": "p1", "choice": choice})
        assert [vote.choice for vote in store.evaluation(DONE).votes] == ["tie"]
        for bad in ({"pair": "p99", "choice": "left"}, {"pair": "p1", "choice": EVIL}, {}):
            answer = client.post(f"/eval/{DONE}", data={"csrf": token, **bad})
            assert answer.status_code == 400
            assert EVIL not in answer.text


def test_prompts_one_per_line_or_parted_by_dashes() -> None:
    assert prompts_of("a\r\n\r\n b \na") == ["a", "b"]
    assert prompts_of("a\nb\n---\nc\n") == ["a\nb", "c"]


def test_both_configurations_answer_the_users_prompts(shown: Live) -> None:
    with log_in(shown) as client, log_in(shown, shown.read_key) as reader:
        form = as_form(shown) | {"csrf": csrf(client), "action": "start", "trials": "2"}
        there = client.post("/new", data=form).headers["location"]
        session = there.rsplit("/", 1)[1]
        wait_state(client, session, "done")
        handed = client.get(f"/v1/sessions/{session}/record").json()["production"]
        asked = {"csrf": csrf(client), "prompts": "word1 word2\nword3\nword4", "max_tokens": "8"}
        denied = reader.post(f"/eval/{session}/prompts", data=asked | {"csrf": csrf(reader)})
        assert denied.status_code == 403
        if handed["winner_trial_id"] == handed["default_trial_id"]:
            assert client.post(f"/eval/{session}/prompts", data=asked).status_code == 409
            return
        for wrong in ({"max_tokens": "0"}, {"prompts": " \n"}, {"prompts": "x" * 30_000}):
            refused = client.post(f"/eval/{session}/prompts", data=asked | wrong)
            assert refused.status_code == 400
            assert 'role="alert"' in refused.text
        answer = client.post(f"/eval/{session}/prompts", data=asked)
        assert answer.status_code == 303
        store = shown.server.app.state.service.store
        wait_for(lambda: store.evaluation(session), "the pairs")
        made = store.evaluation(session)
        assert [pair.prompt for pair in made.pairs] == ["word1 word2", "word3", "word4"]
        assert made.candidate_trial_id == handed["winner_trial_id"]
        assert all(pair.baseline and pair.candidate for pair in made.pairs)
