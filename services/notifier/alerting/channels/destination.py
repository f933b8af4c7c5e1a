"""Where a call may go: to public addresses, and to private ones that are allowed by name.

The connection goes to the very address that was checked: a name that resolves anew between the check and
the call (DNS rebinding) gains nothing. The name stays what the certificate is checked against.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpcore2

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All of IPv6 that was ever handed out as public; what wraps an IPv4 address in another way lies outside of it."""

NAMES_AT_ONCE: Final = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class DestinationRefusedError(Exception):
    """A host is in a private network and not allowed by name. Name it in ALLOWED_PRIVATE_HOSTS if it is meant."""


def is_public(text: str) -> bool:
    """Say whether an IP address is one of the public internet, whatever it is wrapped in."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if address not in UNICAST:
            return False
    return address.is_global and not address.is_multicast


def vetted(host: str, addresses: list[str], allowed: frozenset[str]) -> list[str]:
    """Return the addresses of a host if it may be called: all of them are public, or it is allowed by name.

    Raises `DestinationRefusedError`.
    """
    if host.lower() not in allowed and not all(one in allowed or is_public(one) for one in addresses):
        raise DestinationRefusedError("in a private network: see ALLOWED_PRIVATE_HOSTS")
    return addresses


def resolve(host: str, port: int) -> list[str]:
    """Return a host's addresses. Blocks. Raises `OSError` where the name does not resolve."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for the HTTP client, to checked addresses only.

    A name server that hangs holds a thread as long as it likes, so names have threads of their own, and of each name
    one question is open at a time: a name that hangs must not keep the others from being looked up.
    """

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._inner = httpcore2.AnyIOBackend()
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE, thread_name_prefix="names")
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be called.

        Raises `DestinationRefusedError`, and `OSError` where the name does not resolve.
        """
        answer = self._asked.get((host, port))
        if answer is None:
            answer = asyncio.get_running_loop().run_in_executor(self._threads, resolve, host, port)
            self._asked[host, port] = answer
            answer.add_done_callback(lambda done: self._answered(host, port, done))
        return vetted(host, await asyncio.shield(answer), self._allowed)

    def _answered(self, host: str, port: int, answer: asyncio.Future[list[str]]) -> None:
        del self._asked[host, port]
        if not answer.cancelled():
            answer.exception()  # whoever asked may have gone: then nobody else looks at it

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of the host that answers."""
        try:
            addresses = await self.addresses(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the name does not resolve") from error
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait, as the library asks."""
        await self._inner.sleep(seconds)
