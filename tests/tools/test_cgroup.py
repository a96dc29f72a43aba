from pathlib import Path

from tools._cgroup import CgroupLimits, read_limits


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def membership(folder: Path, text: str) -> Path:
    path = folder / "cgroup"
    path.write_text(text)
    return path


def test_version_2_takes_the_tightest_of_the_ancestors(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    write(mount / "pod", memory__max="1000", memory__current="700", cpu__max="150000 100000")
    write(mount / "pod" / "box", memory__max="max", cpu__max="max 100000")
    (mount / "pod" / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert read_limits(membership(tmp_path, "0::/pod/box\n"), mount) == CgroupLimits(
        memory_bytes=1000, memory_free_bytes=450, cpus=1.5
    )


def test_version_1_under_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    write(
        mount / "memory",
        memory__limit_in_bytes="2000",
        memory__usage_in_bytes="1500",
        memory__stat="inactive_file 1\ntotal_inactive_file 200",
    )
    write(mount / "cpu", cpu__cfs_quota_us="400000", cpu__cfs_period_us="100000")
    text = "4:memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n"
    assert read_limits(membership(tmp_path, text), mount) == CgroupLimits(
        memory_bytes=2000, memory_free_bytes=700, cpus=4.0
    )


def test_no_limit_is_none(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    write(mount / "memory", memory__limit_in_bytes="9223372036854771712")
    write(mount / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    text = "4:memory:/\n1:cpu:/\n"
    assert read_limits(membership(tmp_path, text), mount) == CgroupLimits()
    assert read_limits(tmp_path / "none", mount) == CgroupLimits()
