"""What the police's routes share: the open door, who is at it, one case as that officer sees it."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request

from services.notifier.alerting.stream import AlertStream
from services.notifier.cases import inbox_store
from services.notifier.cases.answers import CaseView, case_view
from services.notifier.cases.casework_views import case_work
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from services.notifier.orders import onward_store
from services.notifier.people_store import Officer
from shared.access import Doorkeeper
from shared.errors import Refusal, not_found
from shared.http import parse, read_body
from shared.privacy import Seal
from shared.relay import Relay

T = TypeVar("T", bound=BaseModel)

DECIDES: Final = ("officer", "approver", "supervisor")


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need. `alerted` is called once new alerts are committed: they go out at once."""

    office: Office
    relay: Relay
    officers: Doorkeeper[Officer]
    narrative: Seal
    stream: AlertStream
    metrics: Metrics
    alerted: Callable[[], Awaitable[None]]

    async def now(self) -> datetime:
        """Return the time of the house."""
        return await self.office.now()


DoorOf = Callable[[], Door]
"""Returns the open door once the service runs."""


async def decider(door: Door, request: Request) -> Officer:
    """Return the officer at the door, if the role may decide."""
    officer = await door.officers.holder(request)
    if officer.role not in DECIDES:
        raise Refusal(HTTPStatus.FORBIDDEN, f"The role {officer.role} may look and not decide.")
    return officer


@contextmanager
def counted(door: Door) -> Iterator[None]:
    """Count a step by the rule that refuses it, if one does."""
    try:
        yield
    except Refusal as refused:
        if rule := refused.extensions.get("rule"):
            door.metrics.unlawful.labels(rule).inc()
        raise


async def shown_case(door: Door, officer: Officer, case_id: UUID) -> CaseView:
    """Return one case as an officer sees it; refuse what is absent or another's."""
    row = await inbox_store.case_seen_by(door.office.pool, case_id, officer.path)
    if row is None:
        raise not_found("case")
    parts = await inbox_store.case_parts(door.office.pool, case_id)
    traced = await onward_store.traced(door.office.pool, case_id)
    work = case_work(row, await inbox_store.work_on(door.office.pool, case_id), door.office.identity)
    return case_view(row, parts, traced, work, door.office.identity, door.narrative, await door.now())


async def heard(door: Door, request: Request, model: type[T]) -> tuple[Officer, T]:
    """Return an officer who may decide and what they send; refuse who may not, and what is no such body."""
    officer = await decider(door, request)
    return officer, parse(model, await read_body(request, "application/json"))
