"""`advisor plan` and `advisor cost`: what they print, and one clear line for each mistake."""

import json
from pathlib import Path

import pytest

from tests.api.test_cli import run

PRICES = "date: 2020-01-01\nprovider: старый\nprices:\n  h100-sxm: 2.0\n"


def test_a_plan_says_all_that_it_must(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "qwen2.5-72b", "--gpu", "h100", "--slo", "tpot_p50=60ms")
    assert done.returncode == 0, done.stderr
    for said in ("Не помещается: 1 ×", "Лучший вариант", "TTFT", "TPOT", "USD за 1M", "vllm serve",
                 "прогноз", "Что пробовать первым"):  # fmt: skip
        assert said in done.stdout


def test_a_plan_as_json_is_one_object(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "llama 3.1 8b", "--gpu", "2xl40s", "--json")
    found = json.loads(done.stdout)
    assert found["best"]["query"]["layout"]["tp"] * found["best"]["query"]["layout"]["dp"] == 2
    assert found["best"]["prediction"]["speed_provenance"] == "predicted"


def test_a_local_folder_needs_only_its_config(tiny_model: Path, tmp_path: Path) -> None:
    (tiny_model / "model.safetensors").unlink()
    done = run(tmp_path, "plan", str(tiny_model), "--gpu", "t4")
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout


def test_a_promise_nobody_can_keep_is_exit_code_4(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "qwen2.5-72b", "--gpu", "h100", "--slo", "tpot_p50=0.1ms")
    assert done.returncode == 4
    assert "не выполнится" in done.stdout


def test_what_fits_nowhere_is_exit_code_4_and_says_by_how_much(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "deepseek-v3", "--gpu", "4090")
    assert done.returncode == 4
    assert "GiB на каждом GPU" in done.stdout


def test_a_price_older_than_90_days_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES, encoding="utf-8")
    done = run(tmp_path, "cost", "qwen2.5-7b", "--gpu", "1xh100", "--prices", str(file))
    assert done.returncode == 0, done.stderr
    assert "старше 90 дней" in done.stdout
    assert "2,00 USD/ч" in done.stdout


def test_cost_of_a_measured_throughput_is_arithmetic(tmp_path: Path) -> None:
    done = run(tmp_path, "cost", "--gpu", "2xa100", "--price", "1.8", "--tokens-per-s", "1000",
               "--api-price", "0.5/1", "--json")  # fmt: skip
    found = json.loads(done.stdout)
    assert found["tokens"]["output_usd"]["value"] == pytest.approx(1.0)
    assert found["measured"] is True
    assert found["break_even"]["reachable"] is True


def test_caches_are_computed_from_the_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    system = "Ты помощник магазина, отвечай кратко и вежливо. " * 8
    prompts = [system + "Где мой заказ?", system + "Где мой заказ?", system + "Верните деньги"]
    rows = [json.dumps({"prompt": text, "output_tokens": 10}) for text in prompts]
    file.write_text("\n".join(rows), encoding="utf-8")
    found = json.loads(run(tmp_path, "cost", "--trace", str(file), "--json").stdout)
    assert found["traffic"]["requests"] == 3
    assert found["traffic"]["exact_share"] == pytest.approx(1 / 3)
    assert 0.5 < found["traffic"]["prefix_hit_share"] < 0.67


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plan", "qwen9-7b", "--gpu", "h100"), "qwen"),
        (("plan", "meta-llama/Secret-9B", "--gpu", "h100"), "hf download"),
        (("plan", "qwen2.5-7b", "--gpu", "h1000"), "h100"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--engine", "vlmm2"), "vllm"),
        (("plan", "qwen2.5-7b", "--gpu", "2xh100", "--count", "4"), "по-разному"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--count", "0"), "от 1"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--dtype", "fp9"), "fp8"),
        (("plan", "qwen2.5-7b", "--gpu", "v100", "--dtype", "fp8"), "compute capability"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--input-tokens", "900000"), "контекст"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--input-tokens", "-5"), "больше нуля"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--objective", "ttfx"), "ttft"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--memory-utilization", "1.5"), "от 0 до 1"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--concurrency", "4", "--rate", "2"), "--rate"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--prices", "no.yaml"), "no.yaml"),
        (("plan", "qwen2.5-7b", "--gpu", "h100", "--slo", "ttft_p95=900ms",
          "--slo", "e2e_p95=100ms"), "противоречат"),
        (("cost",), "--gpu"),
        (("cost", "--gpu", "h100"), "--tokens-per-s"),
        (("cost", "qwen2.5-7b", "--gpu", "h100,a100"), "одна карта"),
        (("cost", "deepseek-v3", "--gpu", "1x4090"), "не помещается"),
        (("cost", "qwen2.5-7b", "--gpu", "1xh100", "--api-price", "many"), "0.15/0.60"),
        (("cost", "qwen2.5-7b", "--gpu", "1xh100", "--spot", "99"), "дороже"),
        (("cost", "qwen2.5-7b", "--gpu", "1xh100", "--tuning-hours", "2", "--speedup", "fast"),
         "1.1..1.4"),
        (("cost", "qwen2.5-7b", "--gpu", "1xh100", "--load-share", "3"), "от 0 до 1"),
        (("cost", "--trace", "missing.jsonl"), "missing.jsonl"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(
    args: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run(tmp_path, *args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
