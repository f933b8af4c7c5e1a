"""One-time links: looking at what one is about, and acknowledging by it. Looking changes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier import people_store
from services.notifier.cases import decisions
from services.notifier.cases.case import Case
from services.notifier.duty import link, link_store
from services.notifier.duty.link import Unusable
from services.notifier.duty.link_page import Standing
from services.notifier.office import Office
from services.notifier.people_store import Officer, seen
from shared.errors import not_found
from shared.events import CaseStatus
from shared.outbox import Outgoing
from shared.postgres import Connection, Pool, Row


@dataclass(frozen=True, slots=True)
class Sent:
    """What a link is about: masked facts, how the case stands, the officer it was sent to, who took the case on."""

    case_id: UUID
    facts: Mapping[str, Any]
    officer: Officer
    standing: Standing
    taken_by: str | None
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A link that was posted. `taken_on` is the case as it was before, where this post has taken it on."""

    sent: Sent
    taken_on: Case | None
    rows: list[Outgoing]


async def look(office: Office, token: str, now: datetime) -> Sent:
    """Return what a link is about; refuse one that is not ours, has expired, or is no longer the officer's."""
    return await _sent(office.pool, _delivery(office, token, now))


async def acknowledge(office: Office, token: str, now: datetime) -> Acknowledged:
    """Take the case on as the officer the link was sent to: the first time, and while nobody else has."""
    delivery_id = _delivery(office, token, now)
    async with office.pool.acquire() as connection, connection.transaction():
        asked = await _sent(connection, delivery_id)
        before, officer = await seen(connection, asked.officer, asked.case_id), asked.officer
        if before.status is not CaseStatus.OPEN:
            return Acknowledged(await _sent(connection, delivery_id), None, [])
        if not await link_store.use(connection, delivery_id, before.id, officer.id):
            return Acknowledged(asked, None, [])
        rows = await decisions.take_on(connection, office, officer, before, now)
        actor = f"officer:{officer.name}"
        await people_store.audit(connection, office.identity, actor, "acknowledged_by_link", before.id)
        return Acknowledged(await _sent(connection, delivery_id), before, rows)


def _delivery(office: Office, token: str, now: datetime) -> UUID:
    found = link.read(token, office.tokens, now)
    if isinstance(found, Unusable):
        raise not_found("link")
    return found


async def _sent(connection: Connection | Pool, delivery_id: UUID) -> Sent:
    row = await link_store.sent(connection, delivery_id)
    if row is None:
        raise not_found("link")
    officer = Officer(**{name: row[name] for name in ("id", "name", "unit", "role", "path", "level")})
    return Sent(
        row["case_id"],
        json.loads(row["facts"]),
        officer,
        _standing(row),
        row["acknowledged_by"],
        row["acknowledged_at"],
    )


def _standing(row: Row) -> Standing:
    if row["used"]:
        return Standing.USED
    match CaseStatus(row["status"]):
        case CaseStatus.OPEN:
            return Standing.WAITING
        case CaseStatus.ACKNOWLEDGED:
            return Standing.TAKEN
        case CaseStatus.CLOSED:
            return Standing.CLOSED
