"""A message on its way to a target, and what it says in a line of Chinese. Pure; facts are masked already."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.notifier.cases.timeline import KINDS as ORDER_KINDS
from services.notifier.clock.clock import BEIJING

ALERT: Final = "lanjie.alert.v1"
TEST: Final = "lanjie.test.v1"

FEN: Final = 100

KINDS: Final[Mapping[str, str]] = {
    "opened": "可疑转账预警",
    "joined": "同一账户又一笔可疑转账",
    "escalated": "预警逾期未签收",
    "order_overdue": "签收后逾期未下达止付",
    "approval_wanted": "指令待审批",
    "contradiction": "银行反馈前后不一致",
    "approval_overdue": "指令审批逾期",
    "feedback_overdue": "银行反馈逾期",
    "release_overdue": "解除逾期",
    "objection_overdue": "异议答复逾期",
    "expiring": "止付或冻结即将到期",
    "expired": "止付或冻结已到期",
    "transferred": "案件移交",
}

ACKNOWLEDGED: Final = frozenset({"opened", "joined", "escalated", "transferred"})
"""Kinds of alert that ask for an acknowledgement, so that a link may give it."""


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same at every try. `link` leads a person on: to acknowledge at once, or to look.

    `traceparent` goes along where a channel has room for it; empty where none is known.
    """

    id: UUID
    type: str
    facts: Mapping[str, Any]
    link: str | None = None
    traceparent: str = ""


def id_of(messages: tuple[Message, ...]) -> UUID:
    """Return the id of messages that go as one: a message's own where it goes alone.

    Whoever knows the id of a message that went before alone must not take it for the one that holds more.
    """
    if len(messages) == 1:
        return messages[0].id
    return UUID(bytes=hashlib.sha256(b"".join(message.id.bytes for message in messages)).digest()[:16])


def asks_acknowledgement(message_type: str, facts: Mapping[str, Any]) -> bool:
    """Say whether a message is one that an officer may acknowledge by a link."""
    return message_type == ALERT and facts.get("kind") in ACKNOWLEDGED


def headline(message: Message) -> str:
    """Return what happened, in a few words."""
    kind = str(message.facts.get("kind", ""))
    if message.type == TEST:
        return "测试消息"
    if message.type == ALERT:
        return KINDS.get(kind, "案件提醒")
    return f"{ORDER_KINDS.get(kind, '协作')}指令{'（再次通知）' if message.facts.get('again') else ''}"


def line(message: Message) -> str:
    """Return one message in one line: how much, to whom, where, until when."""
    facts = message.facts
    if message.type == TEST:
        return "通道连通，无需处理"
    payee = facts.get("payee") or {}
    parts = [
        yuan(facts["amount_fen"]) if isinstance(facts.get("amount_fen"), int) else "",
        f"收款 {payee.get('name', '')} {payee.get('account', '')} {payee.get('bank_code') or ''}" if payee else "",
        f"网点 {facts['branch']}" if facts.get("branch") else "",
        f"单位 {facts['unit']}" if facts.get("unit") else "",
        f"{_should(facts)}{clock(facts['acknowledge_by'])} 前签收" if _asks_by(message) else "",
        f"指令编号 {facts['order_id']}" if message.type != ALERT and facts.get("order_id") else "",
    ]
    return "，".join(" ".join(part.split()) for part in parts if part)


def why(message: Message) -> str:
    """Return the reasons in one line."""
    reasons = message.facts.get("why")
    return "；".join(str(reason) for reason in reasons) if isinstance(reasons, list) else ""


def title(messages: tuple[Message, ...]) -> str:
    """Return what several messages are about together."""
    first = headline(messages[0])
    return first if len(messages) == 1 else f"{first}等 {len(messages)} 条"


def yuan(fen: int) -> str:
    """`9800050` fen → `98,000.50 元`."""
    return f"{fen // FEN:,}.{fen % FEN:02} 元"


def clock(moment: str) -> str:
    """Return the time of day in China of an ISO time."""
    return datetime.fromisoformat(moment).astimezone(BEIJING).strftime("%H:%M:%S")


def _should(facts: Mapping[str, Any]) -> str:
    """What is escalated was to be acknowledged by then."""
    return "应于 " if facts.get("kind") == "escalated" else ""


def _asks_by(message: Message) -> bool:
    return asks_acknowledgement(message.type, message.facts) and bool(message.facts.get("acknowledge_by"))
