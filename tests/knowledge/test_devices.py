import re

import pytest

from knowledge.devices import (
    CatalogDevice,
    catalog,
    cpus_in,
    find_cpu,
    find_device,
    find_gpu,
    gpus_in,
    known_devices,
)
from knowledge.errors import BadInput

GPUS, CPUS = catalog("gpu"), catalog("cpu")
CUDA = [entry for entry in GPUS if entry.device.kind == "cuda"]


def _id(entry: CatalogDevice) -> str:
    return entry.stem


def test_there_are_enough():
    assert len(GPUS) >= 25
    assert len(CPUS) >= 5
    assert len({entry.name for entry in (*GPUS, *CPUS)}) == len(GPUS) + len(CPUS)


@pytest.mark.parametrize("entry", [*GPUS, *CPUS], ids=_id)
def test_every_device_names_its_source_and_plausible_ceilings(entry):
    device = entry.device
    assert device.source
    assert entry.provenance
    assert not device.measured
    assert 8e9 < device.memory_bytes < 600e9
    assert 0.05e12 < device.bandwidth_bytes_per_s < 10e12
    assert all(1e11 < flops < 2e16 for flops in device.flops_per_s.values())
    assert re.fullmatch(r"\d{4}-\d\d", entry.released)


@pytest.mark.parametrize("entry", CUDA, ids=_id)
def test_dense_rates_double_with_each_halving_of_the_width(entry):
    """A figure with sparsity slipped in, or of half the accumulator, would be off by two."""
    rates = entry.device.flops_per_s
    if entry.generation == "Pascal":  # no Tensor Cores, and 16 bits at a 64th of the rate
        assert rates["float16"] < rates["float32"] < rates["int8"]
        return
    assert rates["float32"] < rates["float16"]
    if "fp8" in rates:
        assert rates["fp8"] / rates["float16"] == pytest.approx(2, rel=0.05)
    if "int8" in rates and entry.generation != "Blackwell Ultra":
        assert 1.9 < rates["int8"] / rates["float16"] < 4.1
    if "fp4" in rates:
        assert 1.9 < rates["fp4"] / rates["fp8"] < 4.1


@pytest.mark.parametrize("entry", CUDA, ids=_id)
def test_formats_agree_with_the_compute_capability(entry):
    capability = float(entry.device.compute_capability or 0)
    assert entry.native("bfloat16") == (capability >= 8.0)
    assert entry.native("fp8") == (capability >= 8.9)
    assert entry.native("fp4") == (capability >= 10.0)


def test_gpus_without_fp8_are_known_as_such():
    without = {entry.stem for entry in CUDA if not entry.native("fp8")}
    assert {"a100-sxm-80gb", "a10", "rtx-3090", "t4", "v100-sxm-32gb"} <= without
    assert not {"h100-sxm", "l4", "l40s", "rtx-4090", "b200"} & without


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("h100", "NVIDIA H100 SXM 80GB"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM 80GB"),
        ("h100-sxm", "NVIDIA H100 SXM 80GB"),
        ("h100 sxm", "NVIDIA H100 SXM 80GB"),
        ("H100 PCIe", "NVIDIA H100 PCIe 80GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 SXM 80GB"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 PCIe 80GB"),
        ("A100-80", "NVIDIA A100 SXM 80GB"),
        ("A100-40", "NVIDIA A100 SXM 40GB"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("4090", "NVIDIA GeForce RTX 4090"),
        ("Tesla T4", "NVIDIA T4"),
        ("л40с", "NVIDIA L40S"),
        ("эй100", "NVIDIA A100 SXM 80GB"),
        ("а100", "NVIDIA A100 SXM 80GB"),
        ("эйч200", "NVIDIA H200 SXM 141GB"),
        ("MI300X", "AMD Instinct MI300X"),
    ],
)
def test_devices_are_found_by_any_of_their_names(name, found):
    assert find_device(name).name == found


@pytest.mark.parametrize("entry", [*GPUS, *CPUS], ids=_id)
def test_each_device_is_found_by_its_own_names(entry):
    find = find_gpu if entry in GPUS else find_cpu
    for name in (entry.stem, entry.name):
        match = find(name)
        assert entry.stem in (match.found.stem, *match.others)


def test_an_unknown_device_gets_the_nearest():
    with pytest.raises(BadInput, match="h200") as caught:
        find_device("h201")
    assert "h201" in caught.value.message


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4080 SUPER",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti",
        "Tesla V100-PCIE-32GB",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
        "NVIDIA H800",
        "",
    ],
)
def test_a_sibling_is_not_taken_for_the_device(name):
    """Its ceilings would be wrong; the machine's own clocks are better than a neighbour's."""
    with pytest.raises(BadInput):
        find_device(name)


def test_most_figures_were_read_somewhere():
    checked = [entry for entry in GPUS if entry.checked]
    assert len(checked) >= 0.75 * len(GPUS)
    for entry in (entry for entry in GPUS if not entry.checked):
        assert "по памяти" in entry.device.source


def test_devices_within_a_sentence():
    found = gpus_in("Сколько стоит 2xH100 против четырёх L40S и одной А100-80?")
    assert [mention.match.found.stem for mention in found] == ["h100-sxm", "l40s", "a100-sxm-80gb"]
    assert [m.match.found.stem for m in cpus_in("на EPYC 9654 без видеокарты")] == ["epyc-9654"]


def test_the_roofline_sees_accelerators_only():
    assert set(known_devices()) == {entry.name for entry in GPUS}
