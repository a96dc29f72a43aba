"""Which addresses the service may talk to on a user's word: public ones, and what is allowed.

A name is resolved once, every address it has is checked, and the connection goes to the address
that was checked: a name that changes its answer in between (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from api.errors import ApiError

Resolver = Callable[[str, int], Awaitable[list[str]]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192",
                 "fd00:ec2::254", "fd20:ce::254")
)  # fmt: skip
"""Where clouds hand out credentials: only an exact entry in allowed_hosts opens one."""


@dataclass(frozen=True)
class Destination:
    """A URL that was checked, with the address to connect to."""

    scheme: str
    host: str
    port: int
    path: str
    address: str

    @property
    def authority(self) -> str:
        """What goes into the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme] == self.port
        return host if usual else f"{host}:{self.port}"


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class UrlGuard:
    """Checks URLs against the operator's list."""

    def __init__(self, allowed: Sequence[str], resolver: Resolver = resolve) -> None:
        self._resolver = resolver
        self._names = {entry.lower().rstrip(".") for entry in allowed if _network(entry) is None}
        self._networks = [net for entry in allowed if (net := _network(entry))]

    async def check(self, url: str, param: str = "url") -> Destination:
        """Raises ApiError 400 for what is no URL and 403 for where the service may not go."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or not url.isascii():
            raise ApiError(
                400, "invalid_url", f"{param}: нужен адрес http:// или https://", param=param
            )
        if parts.username is not None or parts.password is not None:
            raise ApiError(400, "invalid_url", f"{param}: логин и пароль в адресе", param=param)
        port = port or (443 if parts.scheme == "https" else 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        address = await self._address(host.lower().rstrip("."), port, param)
        return Destination(parts.scheme, host, port, path, address)

    async def _address(self, host: str, port: int, param: str) -> str:
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise ApiError(400, "invalid_url", f"{param}: хост {host} не найден", param=param)
        for text in addresses:
            if not self._may(host, ipaddress.ip_address(text.partition("%")[0])):
                raise ApiError(
                    403, "forbidden_address", f"{param}: на адрес {host} сервису ходить нельзя",
                    "Оператор может разрешить его в ADVISOR_ALLOWED_HOSTS", param=param,
                )  # fmt: skip
        return addresses[0]

    def _may(self, host: str, address: _Address) -> bool:
        address = _unwrapped(address)
        if address in _METADATA:
            return str(address) in {str(net.network_address) for net in self._networks
                                    if net.num_addresses == 1}  # fmt: skip
        if host in self._names or any(address in network for network in self._networks):
            return True
        return address.is_global and not address.is_multicast


def _unwrapped(address: _Address) -> _Address:
    """The IPv4 address inside ::ffff:a.b.c.d, 6to4 and NAT64, which reaches the same machine."""
    if isinstance(address, ipaddress.IPv6Address):
        if inner := address.ipv4_mapped or address.sixtofour:
            return inner
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
