import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from tests.tools.load.server import ExactServer
from tools.load import http
from tools.load.http import fetch, parse_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8000", "http://host:8000"),
        ("http://host:8000/v1/", "http://host:8000"),
        ("https://host/openai/v1", "https://host:443/openai"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_base_url_may_end_in_v1_or_not(url: str, shown: str) -> None:
    assert str(parse_url(url)) == shown


@pytest.mark.parametrize("url", ["", "host:8000", "ftp://host", "http://", "http://h:port"])
def test_what_is_no_url_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_url(url)
    assert caught.value.hint


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        parse_url("http://me:pa55word@host")
    assert "pa55word" not in str(caught.value)


async def test_fetch_over_ipv4_and_by_name() -> None:
    async with ExactServer() as server:
        response = await fetch(server.url, "/v1/models")
        assert (response.status, b"exact" in response.content) == (200, True)
        named = server.url.replace("127.0.0.1", "localhost")
        assert (await fetch(named, "/none")).status == 404


async def test_fetch_over_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with ExactServer(host="::1") as server:
        assert (await fetch(server.url, "/v1/models")).status == 200


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {cert}"
    more = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    http._tls.cache_clear()
    yield context
    http._tls.cache_clear()


async def test_fetch_over_tls_checks_the_certificate(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ExactServer(tls=certificate) as server:
        assert (await fetch(server.url, "/v1/models")).status == 200
        monkeypatch.delenv("SSL_CERT_FILE")
        http._tls.cache_clear()
        with pytest.raises(ssl.SSLCertVerificationError):
            await fetch(server.url, "/v1/models")


async def test_fetch_says_when_nobody_answers() -> None:
    async with ExactServer() as server:
        url = server.url
    with pytest.raises(OSError, match=r"."):
        await fetch(url, "/v1/models")

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(TimeoutError):
        await fetch(f"http://127.0.0.1:{port}", "/", timeout_s=0.05)
    silent.close()
    await asyncio.sleep(0.01)
