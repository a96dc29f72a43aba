import json
import sys
from pathlib import Path

import pytest

from knowledge import files
from knowledge.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that counts as one of the project's own."""
    monkeypatch.setattr(files, "_ROOT", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "b.yaml").write_text("name: б\nday: 2026-11-23\n", encoding="utf-8")
    (tmp_path / "a.yaml").write_text("list: [1, 2.5, null]\n", encoding="utf-8")
    return tmp_path


def _cache(folder: Path) -> Path:
    (found,) = (folder / "__pycache__").glob("*.json")
    return found


def test_files_are_read_in_order_and_dates_are_text(folder):
    facts = files.read_folder(folder)
    assert list(facts) == ["a", "b"]
    assert facts == {"a": {"list": [1, 2.5, None]}, "b": {"name": "б", "day": "2026-11-23"}}
    assert files.read_folder(folder) == facts


def test_the_second_reading_parses_nothing(folder, monkeypatch):
    facts = files.read_folder(folder)
    monkeypatch.setattr(files, "read_file", lambda path: pytest.fail(f"parsed {path}"))
    assert files.read_folder(folder) == facts


def test_a_changed_added_or_removed_file_is_seen(folder):
    files.read_folder(folder)
    (folder / "a.yaml").write_text("list: []\n", encoding="utf-8")
    assert files.read_folder(folder)["a"] == {"list": []}
    (folder / "c.yaml").write_text("x: 1\n", encoding="utf-8")
    assert "c" in files.read_folder(folder)
    (folder / "b.yaml").unlink()
    assert list(files.read_folder(folder)) == ["a", "c"]


@pytest.mark.parametrize("damage", ["", "{", "[]", json.dumps({"stamp": [], "facts": {}})])
def test_a_damaged_cache_is_made_anew(folder, damage):
    facts = files.read_folder(folder)
    _cache(folder).write_text(damage, encoding="utf-8")
    assert files.read_folder(folder) == facts
    assert json.loads(_cache(folder).read_bytes())["facts"] == facts


def test_nothing_is_written_where_bytecode_may_not_be(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert files.read_folder(folder)
    assert not (folder / "__pycache__").exists()


def test_foreign_folders_are_not_written_to(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\n", encoding="utf-8")
    assert files.read_folder(tmp_path) == {"a": {"x": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(("text", "reason"), [("a: [", "bad.yaml"), ("- 1\n", "ключ: значение")])
def test_a_broken_file_is_named(tmp_path, text, reason):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=reason):
        files.read_file(path)


def test_no_python_object_comes_out_of_yaml(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"evil\.yaml"):
        files.read_file(path)
