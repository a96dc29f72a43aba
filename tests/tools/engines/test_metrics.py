from tools.engines._metrics import short

EXPOSITION = """\
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="demo"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="demo"} 0.5
vllm:num_requests_running{engine="0",model_name="demo"} 3.0
vllm:num_requests_running{engine="1",model_name="demo"} 1.0
vllm:num_preemptions_total{engine="0",model_name="demo"} 2.0
vllm:num_preemptions_created{engine="0",model_name="demo"} 1.7954321478788073e+09
vllm:prefix_cache_queries_total{engine="0",model_name="demo"} 40.0
vllm:prefix_cache_hits_total{engine="0",model_name="demo"} 10.0
vllm:external_prefix_cache_hits_total{engine="0",model_name="demo"} 7.0
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="demo"} 0.0
"""


def test_adds_up_engines_and_makes_rates() -> None:
    assert short(EXPOSITION) == {
        "requests_running": 4.0,
        "num_preemptions": 2.0,
        "prefix_cache_queries": 40.0,
        "prefix_cache_hits": 10.0,
        "prefix_cache_hit_rate": 0.25,
        "kv_cache_usage_perc": 0.5,
        "spec_decode_draft_tokens": 0.0,
    }


def test_other_servers_metrics_are_none() -> None:
    assert short("te_queue_size 5\nprocess_cpu_seconds_total 1.5\n") == {}
