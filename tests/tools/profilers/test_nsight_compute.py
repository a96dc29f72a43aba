"""Counters of ncu, reduced to one point per kernel; ncu and the engine are stand-ins here."""

import sys
from pathlib import Path

import pytest

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import KernelPoints, Part
from tools.profilers import nsight_compute

GEMM = "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm>(T1::Params)"
WRITTEN = Path(__file__).parent / "ncu_decode.csv"
HEAD = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size",'
    '"Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
)


def row(launch: int, kernel: str, metric: str, unit: str, value: str) -> str:
    fields = (
        *(str(launch), "7", "python3", "127.0.0.1", kernel, "1", "7", "(128, 1, 1)", "(8, 1, 1)"),
        *("0", "9.0", "Command line profiler metrics", metric, unit, value),
    )
    return ",".join(f'"{field}"' for field in fields)


def launch(number: int, kernel: str, ns: str, read: str, dram: str, sm: str) -> list[str]:
    return [
        row(number, kernel, "dram__bytes.sum", "byte", read),
        row(number, kernel, nsight_compute._DRAM, "%", dram),
        row(number, kernel, "gpu__time_duration.sum", "ns", ns),
        row(number, kernel, nsight_compute._SM, "%", sm),
    ]


CSV = [
    "==PROF== Connected to process 7 (/usr/bin/python3)",
    HEAD,
    *launch(0, GEMM, "30,000", "90,000,000", "90", "20"),
    *launch(1, "flash_fwd_kernel", "10,000", "8,000,000", "24", "60"),
    *launch(2, GEMM, "10,000", "10,000,000", "30", "40"),
    *launch(3, "broken", "5", "n/a", "1", "1"),
]


def test_launches_of_a_kernel_become_one_point_weighted_by_time() -> None:
    gemm, attention = nsight_compute.parse(CSV)
    assert (gemm.part, gemm.calls, gemm.total_us) == (Part.GEMM, 2, 40.0)
    assert gemm.dram_share == pytest.approx((0.9 * 30 + 0.3 * 10) / 40)
    assert gemm.bytes_per_s == pytest.approx(1e8 / 40e-6)
    assert (attention.part, attention.sm_share) == (Part.ATTENTION, 0.6)
    step = KernelPoints(
        profiler="ncu", phase="decode", sequences=1, tokens=8, points=(gemm, attention)
    )
    assert step.share(lambda one: one.sm_share) == pytest.approx((0.25 * 40 + 0.6 * 10) / 50)


def test_what_ncu_wrote_on_an_h100() -> None:
    """Two launches of each kernel of a decode step, vLLM 0.26, Nsight Compute 2025.3."""
    points = {point.name: point for point in nsight_compute.parse(WRITTEN.read_text().splitlines())}
    attention = points["flash::FlashAttnFwdSm90"]
    assert (attention.part, attention.calls) == (Part.ATTENTION, 2)
    assert 2e12 < attention.bytes_per_s < 3.35e12
    assert attention.dram_share == pytest.approx(attention.bytes_per_s / 3.35e12, abs=0.02)
    assert points["vllm::fused_add_rms_norm_kernel"].part is Part.OTHER
    gemms = [point for name, point in points.items() if name.startswith("nvjet_sm90")]
    assert {point.part for point in gemms} == {Part.GEMM}
    assert all(point.dram_share > 0.5 > point.sm_share for point in gemms)


def test_a_time_in_a_unit_that_is_not_known_counts_for_nothing() -> None:
    odd = [line.replace('"ns"', '"fortnight"') for line in CSV]
    assert list(nsight_compute.parse(odd)) == []
    slower = [line.replace('"ns"', '"us"') for line in CSV]
    assert next(iter(nsight_compute.parse(slower))).total_us == 40_000.0


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ncu that runs the step and writes REPORT, and a step that fails if it is told to."""
    report = tmp_path / "report.csv"
    ncu = tmp_path / "ncu"
    ncu.write_text(
        f"#!{sys.executable}\nimport pathlib, subprocess, sys\n"
        "at = sys.argv.index('--log-file')\n"
        f"text = pathlib.Path({str(report)!r}).read_text()\n"
        "pathlib.Path(sys.argv[at + 1]).write_text(text)\n"
        "sys.exit(subprocess.run(sys.argv[at + 2:]).returncode)\n"
    )
    ncu.chmod(0o755)
    step = tmp_path / "step.py"
    step.write_text("import sys\nsys.exit(3 if '--bad' in sys.argv[-1] else 0)\n")
    monkeypatch.setattr(nsight_compute, "find", lambda: ncu)
    monkeypatch.setattr(nsight_compute, "_SCRIPT", step)
    return report


async def measured(folder: Path, *more: str) -> KernelPoints:
    argv = (sys.executable, "-m", "server", "--model", "m", *more)
    return await nsight_compute.kernel_points(
        argv, {}, folder, phase="decode", sequences=4, tokens=32, kv_bytes=2**30
    )


async def test_a_step_under_ncu(stand_ins: Path, tmp_path: Path) -> None:
    stand_ins.write_text("\n".join(CSV))
    found = await measured(tmp_path / "out")
    assert (found.phase, found.sequences, len(found.points)) == ("decode", 4, 2)


async def test_what_ncu_says_of_closed_counters_is_passed_on(
    stand_ins: Path, tmp_path: Path
) -> None:
    stand_ins.write_text("==ERROR== ERR_NVGPUCTRPERM - no permission to read counters\n")
    with pytest.raises(EngineFailed, match="ERR_NVGPUCTRPERM"):
        await measured(tmp_path / "out")


async def test_an_engine_that_fails_by_itself_is_not_blamed_on_ncu(
    stand_ins: Path, tmp_path: Path
) -> None:
    stand_ins.write_text("\n".join(CSV))
    with pytest.raises(EngineFailed, match="без ncu: код 3"):
        await measured(tmp_path / "out", "--bad")


async def test_no_ncu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nsight_compute, "find", lambda: None)
    with pytest.raises(BadInput, match="ncu не найден") as caught:
        await measured(tmp_path)
    assert "CUDA toolkit" in caught.value.hint
