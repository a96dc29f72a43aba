from pathlib import Path

from tools.home import Home


def test_one_folder_holds_both(tmp_path: Path) -> None:
    home = Home.default({"ADVISOR_HOME": str(tmp_path), "XDG_DATA_HOME": "/elsewhere"})
    assert home.store == tmp_path / "data" / "advisor.duckdb"
    assert home.envs == tmp_path / "cache" / "envs"
    assert home.session_dir("s1") == home.sessions / "s1"


def test_xdg_folders_are_followed_when_absolute() -> None:
    home = Home.default({"XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "relative", "HOME": "/u"})
    assert home.data == Path("/d/inference-advisor")
    assert home.cache == Path("/u/.cache/inference-advisor")


def test_nothing_is_created(tmp_path: Path) -> None:
    Home.default({"ADVISOR_HOME": str(tmp_path / "new")}).session_dir("s1")
    assert list(tmp_path.iterdir()) == []
