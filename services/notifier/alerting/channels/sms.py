"""Short messages through an HTTP gateway: what it takes and answers is in docs/channels.md."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from services.notifier.alerting.channels.limits import TEXT_CHARACTERS
from services.notifier.alerting.channels.message import Message, id_of
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.posting import JSON, post
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import short

REFUSED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

SmsGateway = Callable[[Wires, str, str, UUID], Awaitable[Outcome]]
"""Sends a text to a number, both as they are; the id is the same at every try."""


async def send(wires: Wires, number: str, messages: tuple[Message, ...], gateway: SmsGateway | None = None) -> Outcome:
    """Send any number of messages as one."""
    return await (gateway or json_gateway)(wires, number, short(messages, TEXT_CHARACTERS), id_of(messages))


async def json_gateway(wires: Wires, number: str, text: str, message_id: UUID) -> Outcome:
    """Post `{"id", "to", "text"}`; `{"accepted": true}` is Delivered, 400 and 422 mean this one never will be."""
    body = json.dumps({"id": str(message_id), "to": number, "text": text}, ensure_ascii=False).encode()
    headers = {**JSON, "idempotency-key": str(message_id)}
    if wires.settings.sms_token:
        headers["authorization"] = f"Bearer {wires.settings.sms_token}"
    reply = await post(wires, wires.settings.sms_url, headers, body)
    if isinstance(reply, Retry):
        return reply
    if reply.status in REFUSED:
        return Dead(f"status {reply.status}")
    outcome = reply.outcome()
    if isinstance(outcome, Delivered) and not _accepted(reply.body):
        return Retry("the gateway did not say that it accepted", Cause.ANSWER)
    return outcome


def _accepted(body: bytes) -> bool:
    answer: Any = None
    with suppress(ValueError):
        answer = json.loads(body)
    return isinstance(answer, dict) and answer.get("accepted") is True
