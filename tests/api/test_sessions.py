"""Sessions as jobs over the real HTTP server: start, follow, cancel, resume, report."""

import json
from typing import Any

import httpx2
import pytest

from tests.api.conftest import Live, wait_for, wait_state
from tools.process import leftovers


def start(live: Live, client: httpx2.Client, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/sessions", json=live.body(**more))
    assert answer.status_code == 202, answer.text
    view = answer.json()
    assert answer.headers["location"] == view["links"]["self"]
    return dict(view)


def events(client: httpx2.Client, session: str, last: int | None = None) -> list[dict[str, Any]]:
    """Everything of the stream to its end; every message's id is its event's number."""
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    found, number = [], ""
    with client.stream("GET", f"/v1/sessions/{session}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith('data: {"seq"'):
                found.append(json.loads(line.removeprefix("data: ")))
            elif line.startswith("id: "):
                number = line.removeprefix("id: ")
                assert number == str(found[-1]["seq"])
    return found


def test_from_the_queue_to_the_report(live: Live) -> None:
    with live.client() as client:
        first = start(live, client)
        second = start(live, client, trials=2)
        wait_for(lambda: client.get("/v1/queue").json()["lanes"][0]["session"], "a lane at work")
        queue = client.get("/v1/queue").json()
        assert [lane["session"] for lane in queue["lanes"]] == [first["id"]]
        assert [(view["id"], view["position"]) for view in queue["waiting"]] == [(second["id"], 1)]
        stopped = client.post(f"/v1/sessions/{second['id']}/cancel").json()
        assert (stopped["state"], stopped["position"]) == ("cancelled", None)

        seen = events(client, first["id"])  # ends by itself when the session does
        assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
        kinds = [event["kind"] for event in seen]
        assert kinds[0] == "queued"
        assert {"profile", "trial_finished", "hypothesis", "verdict", "report"} <= set(kinds)
        assert events(client, first["id"], last=5) == seen[5:]
        after_all = client.get(
            f"/v1/sessions/{first['id']}/events", headers={"Last-Event-ID": str(len(seen))}
        )
        assert after_all.status_code == 204

        detail = wait_state(client, first["id"], "done")
        assert detail["trials"] == 4
        assert detail["last_event"] == len(seen)
        assert detail["summary"]["simulated"] is True
        trials = client.get(f"/v1/sessions/{first['id']}/trials").json()["data"]
        assert [t["purpose"] for t in trials] == [
            "baseline", "hypothesis", "production", "production",
        ]  # fmt: skip
        tried = trials[1]
        assert tried["predicted_speedup"]["low"] < tried["predicted_speedup"]["high"]
        assert tried["decision"] in ("kept", "dropped", "inconclusive")
        assert tried["reason"]

        report = client.get(f"/v1/sessions/{first['id']}/report")
        assert report.headers["content-type"] == "text/markdown; charset=utf-8"
        assert report.text.startswith("# Оптимизация LLM Inference")
        picture = client.get(f"/v1/sessions/{first['id']}/report/pareto.png")
        assert picture.content.startswith(b"\x89PNG")
        assert client.post(f"/v1/sessions/{first['id']}/resume").status_code == 409
        assert client.post(f"/v1/sessions/{first['id']}/cancel").status_code == 409


def test_cancel_in_the_middle_and_resume_measures_nothing_twice(live: Live) -> None:
    with live.client() as client:
        session = start(live, client, trials=2)["id"]
        wait_for(
            lambda: client.get(f"/v1/sessions/{session}").json()["trials"] >= 1, "the first trial"
        )
        asked = client.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
        assert asked.status_code == 202
        wait_state(client, session, "cancelled")
        before = client.get(f"/v1/sessions/{session}/trials").json()["data"]
        assert before
        assert leftovers() == []
        assert client.post(f"/v1/sessions/{session}/resume").json()["state"] in (
            "queued", "running",
        )  # fmt: skip
        wait_state(client, session, "done")
        after = client.get(f"/v1/sessions/{session}/trials").json()["data"]
        assert [t["started_at"] for t in after[: len(before)]] == [t["started_at"] for t in before]
        assert [t["ordinal"] for t in after] == sorted({t["ordinal"] for t in after})


def test_a_drain_lets_the_trial_in_flight_finish(live: Live) -> None:
    with live.client() as client:
        session = start(live, client)["id"]
        kinds: list[str] = []
        with client.stream("GET", f"/v1/sessions/{session}/events") as answer:
            for line in answer.iter_lines():
                if not line.startswith('data: {"seq"'):
                    continue
                kinds.append(json.loads(line.removeprefix("data: "))["kind"])
                if kinds.count("trial_started") == 1 and kinds[-1] == "trial_started":
                    with live.client() as other:
                        other.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 60})
        assert kinds.count("trial_finished") == 1
        assert kinds.index("cancelling") < kinds.index("trial_finished") < kinds.index("cancelled")


def test_the_same_idempotency_key_is_the_same_session(live: Live) -> None:
    key = {"Idempotency-Key": "nightly-1"}
    with live.client() as client:
        first = client.post("/v1/sessions", json=live.body(), headers=key)
        again = client.post("/v1/sessions", json=live.body(), headers=key)
        assert (first.status_code, again.status_code) == (202, 200)
        assert first.json()["id"] == again.json()["id"]
        other = client.post("/v1/sessions", json=live.body(trials=2), headers=key)
        assert other.status_code == 409
        assert len(client.get("/v1/sessions").json()["data"]) == 1
        client.post(f"/v1/sessions/{first.json()['id']}/cancel")


def test_pages_hold_every_session_once(live: Live) -> None:
    with live.client() as client:
        ids = [start(live, client, seed=n)["id"] for n in range(5)]
        found: list[str] = []
        cursor = ""
        for _ in range(5):
            page = client.get("/v1/sessions", params={"limit": 2, "after": cursor}).json()
            found += [view["id"] for view in page["data"]]
            cursor = page["next"]
            if not cursor:
                break
        assert sorted(found) == sorted(ids)
        assert found == sorted(found, reverse=True) or len(set(found)) == 5
        queued = client.get("/v1/sessions", params={"state": "queued"}).json()["data"]
        assert all(view["state"] == "queued" for view in queued)
        wrong = client.get("/v1/sessions", params={"after": "nothing"})
        assert wrong.status_code == 400
        for session in reversed(ids):
            client.post(f"/v1/sessions/{session}/cancel")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objective": "ttfx"}, "ttft"),
        ({"slo": ["ttft_p95=200"]}, "ttft"),
        ({"workload": "chta"}, "chat"),
        ({"engine": "vlm"}, "vllm"),
        ({"budget": "1s"}, "бюджет"),
        ({"budget": "soon"}, "soon"),
        ({"budget": "900h"}, "8h"),
        ({"budget": "9" * 60 + "m"}, "8h"),
        ({"concurrency": 4, "rate": 2}, "--rate"),
        ({"input_tokens": 99_999}, "контекст"),
        ({"moon": "full"}, "moon"),
        ({"trials": "many"}, "trials"),
    ],
)
def test_bad_input_is_one_clear_line_and_starts_nothing(
    live: Live, change: dict[str, Any], said: str
) -> None:
    with live.client() as client:
        answer = client.post("/v1/sessions", json=live.body(**change))
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert said in error["message"]
        assert error["type"] == "invalid_request_error"
        assert client.get("/v1/sessions").json()["data"] == []


def test_a_plan_predicts_and_starts_nothing(live: Live) -> None:
    with live.client(live.read_key) as client:
        plan = client.post("/v1/plan", json=live.body(trials=2)).json()
        assert client.get("/v1/sessions").json()["data"] == []
    inside = [step for step in plan["steps"] if step["within_budget"]]
    assert len(inside) == 2
    for step in plan["steps"]:
        assert step["predicted_speedup"]["low"] < step["predicted_speedup"]["high"]
        assert step["evidence"]
    costs = sum(step["cost_s"] for step in inside)
    assert costs < plan["accelerator_s"] <= plan["at_most_s"] + plan["accelerator_s"] - costs


def test_a_full_queue_says_when_to_come_again(live: Live) -> None:
    live.server.app.state.service.settings = live.settings.model_copy(update={"queue_limit": 1})
    with live.client() as client:
        ids = [start(live, client, seed=0)["id"]]
        wait_for(lambda: client.get("/v1/queue").json()["lanes"][0]["session"], "a lane at work")
        ids.append(start(live, client, seed=1)["id"])
        refused = client.post("/v1/sessions", json=live.body(seed=2))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        for session in reversed(ids):
            client.post(f"/v1/sessions/{session}/cancel")
