import asyncio
import os
from types import SimpleNamespace

import pytest

from knowledge.types import GpuTelemetry, RequestSample
from tests.tools.nvml import NvmlStub, install
from tools._gpu_sampler import held_down
from tools._nvml import fingerprints, not_free
from tools.arm import _per_token
from tools.telemetry import Sampler


async def sampled(stub: NvmlStub, rounds: int = 1) -> Sampler:
    sampler = Sampler(os.getpid(), every_s=0.01)
    for _ in range(rounds):
        async with sampler:
            await asyncio.sleep(0.08)
    return sampler


async def test_a_load_is_described_by_what_the_card_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub())
    seen = (await sampled(stub)).result()
    (gpu,) = seen.gpus
    assert (gpu.util_percent_mean, gpu.memory_util_percent_mean) == (98, 71)
    assert gpu.sm_clock_mhz_min == 1785
    assert gpu.power_w_peak == 612
    assert gpu.temperature_c_peak == 61
    assert (gpu.pcie_tx_mb_per_s_mean, gpu.pcie_rx_mb_per_s_mean) == (12, 48)
    assert gpu.nvlink_tx_bytes == 0, "a counter that does not move"
    assert gpu.nvlink_rx_bytes is None, "the driver had no value"
    assert gpu.ecc_uncorrected == 0
    assert seen.energy_j == 40
    assert seen.gpu_memory_peak_bytes == 76_000_000_000
    assert stub.open == 0, "the library is shut down again"


async def test_rounds_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub(cards=2))
    sampler = await sampled(stub, rounds=3)
    # The stub's meter goes up by 40 J per question, and the other card is asked in between.
    assert sampler.result().energy_j == 3 * 2 * 80
    assert sampler.result().gpu_power_w_mean == 2 * 612


async def test_what_a_card_does_not_know_stays_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub())
    stub.silent = {
        "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetTemperatureV", "nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors",
    }  # fmt: skip
    (gpu,) = (await sampled(stub)).result().gpus
    assert (gpu.energy_j, gpu.power_w_mean, gpu.temperature_c_peak, gpu.limited_by) == (
        None, None, None, {},
    )  # fmt: skip
    assert gpu.util_percent_mean == 98
    (card,) = fingerprints()
    assert card.ecc is None


async def test_a_card_that_is_held_down_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub())
    stub.reasons = 0x4 | 0x40
    seen = (await sampled(stub)).result()
    assert seen.gpus[0].limited_by == {"sw_power_cap": 1.0, "hw_thermal": 1.0}
    assert len(seen.warnings) == 2
    assert "перегрев" in " ".join(seen.warnings)
    assert not held_down(GpuTelemetry(limited_by={"sw_power_cap": 0.05})), "now and then is normal"


async def test_an_idle_card_is_not_held_down(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub())
    stub.reasons = 0x1
    assert (await sampled(stub)).result().warnings == ()


def test_the_fingerprint_names_what_two_machines_may_differ_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, NvmlStub())
    (card,) = fingerprints()
    assert (card.name, card.driver, card.cuda) == ("NVIDIA H100 80GB HBM3", "580.159.04", "13.0")
    assert (card.pcie, card.nvlinks, card.ecc, card.mig) == ("5.0 x16", 18, True, False)
    assert (card.power_limit_w, card.max_sm_clock_mhz) == (700, 1980)


def test_a_card_that_somebody_uses_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub())
    stub.used = 600_000_000
    assert not_free(fingerprints()[0]) is None, "what the driver keeps for itself"
    stub.used = 5_000_000_000
    assert "не видно" in (not_free(fingerprints()[0]) or "")
    stub.processes = [SimpleNamespace(pid=4321, usedGpuMemory=4_400_000_000)]
    said = not_free(fingerprints()[0]) or ""
    assert "pid 4321" in said
    assert "4,1 GiB" in said


async def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = install(monkeypatch, NvmlStub(driver=False))
    assert fingerprints() == ()
    seen = (await sampled(stub)).result()
    assert seen.gpus == ()
    assert seen.energy_j is None
    assert seen.samples > 0, "the processes are sampled all the same"


def test_energy_is_counted_per_output_token() -> None:
    sample = RequestSample(
        index=0, round=0, stream=0, intended_s=0, sent_s=0, end_s=1,
        asked_input_tokens=1, asked_output_tokens=50, output_tokens=50,
    )  # fmt: skip
    assert _per_token(100.0, [sample, sample]) == 1000
    assert _per_token(100.0, [sample.replace(output_tokens=None)]) is None
    assert _per_token(None, [sample]) is None
