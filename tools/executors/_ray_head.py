"""Finding and reaching the head of a Ray cluster, before Ray itself tries for minutes."""

import contextlib
import os
import socket
from collections.abc import Iterator
from importlib import import_module

from knowledge.errors import BadInput

_REACH_S = 5.0
HOW = (
    "Запускайте на узле кластера с той же версией ray (ray start --head; RAY_ADDRESS=ХОСТ:6379; "
    "где нужен токен, RAY_AUTH_MODE=token) или возьмите --executor local"
)


def of_this_machine() -> str:
    """The head of the cluster that this machine is a node of, by the note that Ray keeps of it,
    which may have outlived it."""
    services = import_module("ray._private.services")
    try:
        return str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError as error:
        raise BadInput(
            "--executor ray: на этой машине нет узла Ray, и RAY_ADDRESS не задан", HOW
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What Ray's core has to say of a cluster that does not let us in goes past every logger, a
    line a second; the error says it once."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_SETTINGS = b"\x04"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
"""The preface of gRPC, which a head speaks: it is answered with settings (RFC 9113, 3.4)."""


def require_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    if "://" in address:
        raise BadInput(f"--executor ray: адрес {address} не подходит, нужен ХОСТ:ПОРТ", HOW)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"--executor ray: адрес {address!r} не понять, нужен ХОСТ:ПОРТ", HOW)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S) as there:
            there.sendall(_HTTP2)
            answer = there.recv(9)
    except OSError as error:
        raise BadInput(
            f"--executor ray: кластер {address} не отвечает ({error.strerror or error})", HOW
        ) from error
    if answer[3:4] != _SETTINGS:
        raise BadInput(f"--executor ray: по адресу {address} отвечает не Ray", HOW)
