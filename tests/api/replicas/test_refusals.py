"""What is wrong with --store is said in one line, and never with the password."""

import builtins
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from knowledge.errors import AdvisorError
from tests.postgresql import PASSWORD, Server
from tools.process import free_port


def refusal(store: str, home: Path, monkeypatch: pytest.MonkeyPatch, shared: bool = True) -> str:
    """What `advisor serve --store` says before it ends."""
    monkeypatch.setenv("ADVISOR_HOME", str(home))
    if shared:
        monkeypatch.setenv("ADVISOR_SHARED", str(home / "shared"))
    done = CliRunner().invoke(app, ["serve", "--store", store], standalone_mode=False)
    assert isinstance(done.exception, AdvisorError), done.output
    assert done.exception.exit_code == 2
    text = str(done.exception)
    assert "\n" not in text
    assert PASSWORD not in text + done.output
    assert "s3cret" not in text
    return text


def test_a_wrong_password(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = refusal(server.url("postgres", "s3cret-wrong"), tmp_path, monkeypatch)
    assert "пароль неверен" in text


def test_no_such_database(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "нет базы 'nowhere'" in refusal(server.url("nowhere"), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("postgresql://advisor:s3cret@127.0.0.1:{port}/x", "не отвечает"),
        ("postgresql://advisor:s3cret@nowhere.invalid/x", "не отвечает"),
        ("postgresql://advisor:s3cret@127.0.0.1/x?nonsense=s3cret", "не разобрать"),
        ("mysql://advisor:s3cret@127.0.0.1/x", "postgresql://…"),
    ],
)
def test_an_address_that_leads_nowhere(
    store: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    assert words in refusal(store.format(port=free_port()), tmp_path, monkeypatch)


def test_without_the_shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ADVISOR_SHARED" in refusal("postgresql://x/y", tmp_path, monkeypatch, shared=False)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("api.service.replicas"):
            raise ModuleNotFoundError("No module named 'psycopg'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "inference-advisor[postgres]" in refusal("postgresql://x/y", tmp_path, monkeypatch)
