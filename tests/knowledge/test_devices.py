import pytest

from knowledge.devices import find_device, known_devices
from knowledge.errors import BadInput


@pytest.mark.parametrize("device", known_devices().values(), ids=lambda device: device.name)
def test_every_device_names_its_source_and_plausible_ceilings(device):
    assert device.source
    assert not device.measured
    assert 10e9 < device.memory_bytes < 400e9
    assert 0.1e12 < device.bandwidth_bytes_per_s < 10e12
    assert device.flops_per_s["float32"] < device.flops_per_s["float16"] < 10e15
    # Narrower is at least as fast; twice at most would be a figure with sparsity slipped in.
    eight_bits = device.flops_per_s["int8"] / device.flops_per_s["float16"]
    assert 1.9 < eight_bits < 4.1


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("h100", "NVIDIA H100 SXM 80GB"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM 80GB"),
        ("h100-sxm", "NVIDIA H100 SXM 80GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 SXM 80GB"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("Tesla T4", "NVIDIA T4"),
    ],
)
def test_devices_are_found_by_any_of_their_names(name, found):
    assert find_device(name).name == found


def test_an_unknown_device_gets_the_nearest():
    with pytest.raises(BadInput, match="h200"):
        find_device("h20")
