import gzip
import json
import random
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from knowledge.kernels import part_of, short_name
from knowledge.types import Part
from tests.tools.profilers import traces
from tools.profilers._reduce import _self_times, reduce
from tools.profilers._trace import Span, Trace, read
from tools.profilers.torch_profiler import reduce_file


def test_every_microsecond_of_a_step_is_in_one_part(tmp_path: Path) -> None:
    found = reduce_file(traces.write(tmp_path / "t.json", traces.decode(10, gap_us=50)))
    (phase,) = found.phases
    assert (phase.phase, phase.steps, phase.sequences) == ("decode", 9, 1)
    assert phase.parts_ms[Part.GEMM] == pytest.approx(0.6)
    assert phase.parts_ms[Part.ATTENTION] == pytest.approx(0.2)
    assert phase.parts_ms[Part.OTHER] == pytest.approx(0.1)
    assert phase.parts_ms[Part.SAMPLING] == pytest.approx(0.05)
    assert phase.parts_ms[Part.HOST_GAP] == pytest.approx(0.2)
    assert phase.step_ms == pytest.approx(1.15)
    assert found.adds_up == pytest.approx(1, abs=0.02), "the host's clock says the same"


def test_kernels_that_overlap_are_not_counted_twice(tmp_path: Path) -> None:
    events = traces.decode(6, gap_us=0)
    for number in range(6):
        # On another stream, half under the GEMM and half under attention.
        events += traces.launch(
            9000 + number, number * 950 + 3, traces.NCCL, number * 950 + 330, 600
        )
    (phase,) = reduce_file(traces.write(tmp_path / "t.json", events)).phases
    assert phase.step_ms == pytest.approx(0.95, rel=0.05)
    assert phase.busy_ms == pytest.approx(phase.step_ms, rel=0.05)


def test_waiting_for_a_new_request_is_idle_and_no_gap_of_the_host(tmp_path: Path) -> None:
    events = traces.decode(4, gap_us=0)
    begin = 50_000.0
    events.append(traces.step(begin, 40, prompt_tokens=4096, sequences=0))
    events += traces.launch(700, begin + 5, traces.GEMM, begin + 60, 9_000)
    for late in traces.decode(3, gap_us=0):
        events.append(late | {"ts": late["ts"] + begin + 10_000} | _recount(late, 5000))
    found = reduce_file(traces.write(tmp_path / "t.json", events))
    decode, prefill = found.phase("decode"), found.phase("prefill")
    assert decode
    assert prefill
    assert prefill.prompt_tokens == 4096
    assert prefill.parts_ms[Part.GEMM] == pytest.approx(9)
    assert decode.parts_ms[Part.IDLE] * decode.steps == pytest.approx(46.3, rel=0.02)
    assert decode.parts_ms.get(Part.HOST_GAP, 0.0) < 0.01


def _recount(event: dict[str, object], by: int) -> dict[str, object]:
    args = event["args"]
    assert isinstance(args, dict)
    return {"args": {k: v + by if k == "correlation" else v for k, v in args.items()}}


def test_a_kernel_belongs_to_the_step_that_launched_it(tmp_path: Path) -> None:
    """The host runs ahead of the device: by time alone kernels would slide into the next step."""
    events = [traces.step(0, 20, prompt_tokens=512, sequences=0)]
    events += [traces.step(100 * n, 20) for n in range(1, 6)]
    for number in range(6):
        name = traces.FLASH if number == 0 else traces.GEMM
        events += traces.launch(number, 100 * number + 5, name, 1000 * (number + 1), 900)
    found = reduce_file(traces.write(tmp_path / "t.json", events))
    prefill, decode = found.phase("prefill"), found.phase("decode")
    assert prefill
    assert decode
    assert Part.GEMM not in prefill.parts_ms
    assert Part.ATTENTION not in decode.parts_ms


def test_operators_of_a_cpu_are_cut_into_what_each_does_itself() -> None:
    outer, inner = Span(0, 100, "vllm::unified_attention"), Span(20, 50, "aten::copy_")
    cut = _self_times([outer, inner, Span(120, 130, "aten::mm")])
    assert sum(span.end - span.start for span in cut) == 110
    own = sum(s.end - s.start for s in cut if s.name == "vllm::unified_attention")
    assert own == 70


def test_a_cpu_trace_adds_up_to_its_steps(tmp_path: Path) -> None:
    events = []
    for number in range(5):
        at = 1000.0 * number
        events.append(traces.step(at, 800))
        events.append(traces.event("cpu_op", "_C::onednn_mm", at + 50, 500))
        events.append(traces.event("cpu_op", "aten::argmax", at + 850, 100))
    found = reduce_file(traces.write(tmp_path / "t.json", events))
    (phase,) = found.phases
    assert found.timeline == "operators"
    assert phase.step_ms == pytest.approx(1.0)
    assert phase.parts_ms[Part.GEMM] == pytest.approx(0.5)
    assert phase.parts_ms[Part.SAMPLING] == pytest.approx(0.1)
    assert phase.parts_ms[Part.HOST_GAP] == pytest.approx(0.4)


def test_random_spans_never_give_more_time_than_passed() -> None:
    rng = random.Random(1)
    for _ in range(50):
        kernels = sorted(
            ((0, Span(start, start + rng.uniform(1, 300), traces.GEMM))
             for start in (rng.uniform(0, 1000) for _ in range(20))),
            key=lambda pair: pair[1].start,
        )  # fmt: skip
        steps = [traces_step(0.0), traces_step(2000.0), traces_step(4000.0)]
        kernels += [(1, Span(2500, 2600, traces.GEMM)), (2, Span(4500, 4600, traces.GEMM))]
        found = reduce(Trace(steps, kernels))
        total = sum(p.step_ms * p.steps for p in found.phases)
        assert total == pytest.approx((4500 - kernels[0][1].start) / 1e3, rel=1e-6)


def traces_step(start: float):  # type: ignore[no-untyped-def]
    from tools.profilers._trace import Step

    return Step(start, start + 10, 0, 0, 1)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (traces.GEMM, Part.GEMM),
        (traces.FLASH, Part.ATTENTION),
        (traces.ARGMAX, Part.SAMPLING),
        (traces.NORM, Part.OTHER),
        (traces.NCCL, Part.COMMUNICATION),
        (traces.MEMCPY, Part.OTHER),
        ("_C::onednn_mm", Part.GEMM),
        ("_C::cpu_attention_with_kv_cache", Part.ATTENTION),
        ("void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16>(int)", Part.ATTENTION),
        ("void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<int> >(P)", Part.GEMM),
        ("void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(RankData*)", Part.COMMUNICATION),
        ("triton_poi_fused_silu_mul_0", Part.OTHER),
        ("aten::embedding", Part.OTHER),
    ],
)
def test_kernels_are_known_by_name(name: str, part: Part) -> None:
    assert part_of(name) is part


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (traces.FLASH, "flash::FlashAttnFwdSm90"),
        (
            "void cutlass::device_kernel<flash::FlashAttnFwdCombine<cute::C<8>, 5>>(T1::Params)",
            "flash::FlashAttnFwdCombine",
        ),
        (
            "void cutlass::Kernel2<cutlass_80_s16816gemm_bf16>(T1::Params)",
            "cutlass_80_s16816gemm_bf16",
        ),
        (
            "std::enable_if<T2>0&&vllm::_typeConvert<T1>::exists, void>::type "
            "vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8, 1>(T1 *, long, float)",
            "vllm::fused_add_rms_norm_kernel",
        ),
        ("void <unnamed>::elementwise_kernel<int>(T1, T2)", "elementwise_kernel"),
        ("void (anonymous namespace)::softmax<3>(int)", "softmax"),
        ("Memcpy DtoH (Device -> Pinned)", "Memcpy DtoH"),
    ],
)
def test_a_long_cpp_name_is_shortened_to_what_one_reads(name: str, short: str) -> None:
    assert short_name(name) == short


def test_what_is_still_long_is_cut() -> None:
    assert len(short_name("x" * 500)) <= 72


def test_what_is_no_trace_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, data in {
        "text.json": b"hello",
        "other.json": b'{"a": 1}',
        "empty.json": b'{"traceEvents": []}',
        "cut.json.gz": gzip.compress(json.dumps({"traceEvents": []}).encode())[:12],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput):
            read(tmp_path / name)
    with pytest.raises(BadInput, match="шагов"):
        reduce_file(traces.write(tmp_path / "two.json", traces.decode(2, gap_us=0)))


def test_a_packed_trace_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain = traces.write(tmp_path / "t.json", traces.decode(5, gap_us=10))
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert reduce_file(plain) == reduce_file(tmp_path / "t.json.gz")
