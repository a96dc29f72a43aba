"""What was found on another machine is passed on only where figures can be compared."""

from advisor.policy.transfer import similar
from tests.advisor.report import examples as ex


def test_a_cpu_of_the_same_name_with_other_instructions_is_another_machine():
    here = ex.TASK.hardware
    there = here.replace(isa=(*here.isa, "avx512f"))
    assert similar(ex.TASK, ex.TASK)
    assert not similar(ex.TASK, ex.TASK.replace(hardware=there))
    assert not similar(ex.TASK, ex.TASK.replace(hardware=here.replace(cores=here.cores + 2)))
    assert "avx512f" in there.machine


def test_a_gpu_is_known_by_its_name_whatever_hosts_it():
    gpu = ex.TASK.hardware.device.replace(kind="cuda", name="NVIDIA H100 SXM 80GB")
    here = ex.TASK.replace(hardware=ex.TASK.hardware.replace(device=gpu))
    host = here.hardware.replace(cores=128, isa=(), cpu_name="another")
    assert similar(here, here.replace(hardware=host))
    assert not similar(ex.TASK, here)
