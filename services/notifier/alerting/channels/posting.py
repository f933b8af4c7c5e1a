"""One HTTP call out: bounded in time and in what is read, no redirect followed, every failure an outcome."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpcore2

from services.notifier.alerting.channels.destination import DestinationRefusedError
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry, outcome_of
from services.notifier.alerting.channels.wires import Wires

MOST_READ: Final = 64 * 1024
JSON: Final = {"content-type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered. `body` is empty where it did not come in time."""

    status: int
    retry_after: str
    body: bytes

    def outcome(self) -> Outcome:
        """Judge the status alone."""
        return outcome_of(self.status, self.retry_after)


@dataclass(frozen=True, slots=True)
class Codes:
    """What a robot's own codes in its JSON answer mean. Codes not named may pass: they are tried again."""

    name: str
    slow: Mapping[int, float]
    """Too fast: the code, and for how many seconds to be quiet."""
    dead: frozenset[int]


async def post(wires: Wires, url: str, headers: Mapping[str, str], body: bytes) -> Reply | Retry:
    """Post once and read the answer, in `wires.timeout` seconds altogether."""
    head: tuple[int, str] | None = None
    read = bytearray()
    try:
        async with (
            asyncio.timeout(wires.timeout),
            wires.http.stream("POST", url, headers=_pairs(url, headers), content=body) as response,
        ):
            head = response.status, _header(response, b"retry-after")
            async for part in response.aiter_stream():
                read += part
                if len(read) > MOST_READ:
                    break
    except TimeoutError:
        return Reply(*head, b"") if head else Retry("timeout", Cause.TIMEOUT)
    except DestinationRefusedError as error:
        return Retry(f"destination {error}", Cause.ADDRESS)
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
        return Reply(*head, b"") if head else Retry(type(error).__name__, Cause.CONNECTION)
    return Reply(*head, bytes(read))


async def post_to_robot(wires: Wires, url: str, content: Mapping[str, Any], codes: Codes) -> Outcome:
    """Post to a chat robot, which answers 200 whatever it thinks: its own code decides."""
    reply = await post(wires, url, JSON, json.dumps(content, ensure_ascii=False).encode())
    if isinstance(reply, Retry):
        return reply
    answer: Any = None
    with suppress(ValueError):  # also what is not UTF-8
        answer = json.loads(reply.body)
    code = (
        next((answer[key] for key in ("errcode", "code") if key in answer), None) if isinstance(answer, dict) else None
    )
    if not isinstance(code, int) or isinstance(code, bool):
        judged = reply.outcome()
        return Retry("the answer is not a robot's", Cause.ANSWER) if isinstance(judged, Delivered) else judged
    return meaning(codes, code)


def meaning(codes: Codes, code: int) -> Outcome:
    """Turn a robot's code into what to do."""
    reason = f"{codes.name} code {code}"
    if code == 0:
        return Delivered()
    if code in codes.slow:
        return Retry(reason, Cause.PACE, float(codes.slow[code]))
    return Dead(reason, Cause.ANSWER) if code in codes.dead else Retry(reason, Cause.ANSWER)


def _pairs(url: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    host = httpcore2.URL(url)
    usual = {b"http": 80, b"https": 443}.get(host.scheme)
    name = host.host.decode("ascii")
    name = f"[{name}]" if ":" in name else name
    return [("host", name if host.port in (None, usual) else f"{name}:{host.port}"), *headers.items()]


def _header(response: httpcore2.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")
