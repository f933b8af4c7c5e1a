"""Where a call goes: to the address that was checked, and only to who can show the certificate of the name."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifier.alerting.channels.destination import CheckedBackend
from services.notifier.alerting.channels.outcome import Cause, Retry
from services.notifier.alerting.channels.posting import Reply, post
from services.notifier.alerting.channels.wires import wires_of
from tests.fakes.receiver import HOST, receiving
from tests.service.notifier.hooks import settings

NAME = "bank.example"


class Names:
    """A name server that gives each of its answers once; asked again, it would say otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.left = list(addresses)
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        assert host == NAME
        return [(2, 1, 6, "", (self.left.pop(0), port))]


def certificate(folder: Path, name: str) -> Path:
    """Write a key and a certificate that its owner signed himself; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    shape = serialization.PrivateFormat.PKCS8
    clear = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, shape, clear) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def answering_tls(file: Path) -> AsyncIterator[int]:
    """Answer 204 to whatever comes over TLS; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 .\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def called(port: int) -> Reply | Retry:
    wires = wires_of(settings(allowed_private_hosts=NAME), 5)
    try:
        return await post(wires, f"https://{NAME}:{port}/", {}, b"")
    finally:
        await wires.http.aclose()


async def test_a_name_is_asked_once_and_the_answer_that_was_checked_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:
        names = Names(monkeypatch, HOST)
        port = int(receiver.url.rstrip("/").rpartition(":")[2])
        stream = await CheckedBackend(frozenset({NAME})).connect_tcp(NAME, port, 1)
        monkeypatch.undo()
        await stream.write(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        await receiver.received(1)
        await stream.aclose()
    assert names.left == []


async def test_a_name_server_that_hangs_on_one_name_is_asked_once_and_answers_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    over = threading.Event()

    def hang(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        if host == NAME:
            over.wait(30)
        return [(2, 1, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    backend = CheckedBackend(frozenset())
    waiting = [asyncio.create_task(backend.addresses(NAME, 443)) for _ in range(100)]
    async with asyncio.timeout(10):
        assert await backend.addresses("other.example", 443) == ["8.8.8.8"]
        waiting[0].cancel()
        over.set()
        assert await asyncio.gather(*waiting[1:]) == [["8.8.8.8"]] * 99
    assert sorted(asked) == [NAME, "other.example"]


async def test_a_name_that_turns_private_between_two_calls_is_refused_at_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch, "192.168.0.1")
    wires = wires_of(settings(allowed_private_hosts=""), 5)
    reply = await post(wires, f"http://{NAME}:1/", {}, b"")
    await wires.http.aclose()
    assert reply == Retry("destination in a private network: see ALLOWED_PRIVATE_HOSTS", Cause.ADDRESS)


async def test_the_certificate_is_checked_against_the_name_though_an_address_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with answering_tls(file) as port:
        Names(monkeypatch, HOST)
        assert await called(port) == Reply(204, "", b"")


async def test_another_names_certificate_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = certificate(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with answering_tls(file) as port:
        Names(monkeypatch, HOST)
        assert await called(port) == Retry("ConnectError", Cause.CONNECTION)
