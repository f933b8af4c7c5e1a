"""One-time links: a page to look at, a button to press. No bearer token: the address itself is the authority.

Only POST acknowledges, so that previews of messages and scanners of mail, which fetch every link, change nothing.
"""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.notifier.door import Door, DoorOf
from services.notifier.duty import link_page, linking
from services.notifier.duty.link_page import Standing
from services.notifier.duty.linking import Sent
from shared.errors import Refusal
from shared.http import read_body
from shared.openapi import problems_of
from shared.protocol import Edge

FORM: Final = "application/x-www-form-urlencoded"
FORM_LIMIT_BYTES: Final = 1024
_PAGE: Final[dict[str, Any]] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_NO_PAGE: Final[dict[str, Any]] = {"content": {**_PAGE["content"], **problems_of(404)[404]["content"]}}
_NO_BEARER: Final[dict[str, Any]] = {"security": []}


def routes(door_of: DoorOf) -> APIRouter:
    """Return the routes; `door_of()` is the open door once the service runs."""
    router = APIRouter(prefix="/a", tags=["links"])
    described: dict[int | str, dict[str, Any]] = {200: _PAGE, 404: {"description": "Not Found", **_NO_PAGE}}

    @router.head("/{token}", include_in_schema=False)
    @router.get(
        "/{token}",
        response_class=HTMLResponse,
        responses={**described, **problems_of(503)},
        openapi_extra=_NO_BEARER,
    )
    async def get_alert_link(request: Request, token: str) -> Response:
        """Show what the alert says and a button. Changes nothing, however often it is fetched."""
        door = door_of()
        try:
            sent = await linking.look(door.office, token, await door.now())
        except Refusal as refusal:
            return _refused(request, door, refusal)
        door.metrics.links.labels("shown").inc()
        return _shown(sent, sent.standing)

    @router.post(
        "/{token}",
        response_class=HTMLResponse,
        responses={**described, **problems_of(408, 413, 415, 503)},
        openapi_extra={"requestBody": {"content": {FORM: {"schema": {"type": "object"}}}}, **_NO_BEARER},
    )
    async def post_alert_link(request: Request, token: str) -> Response:
        """Acknowledge the case as the officer the link was sent to. Once; what is in the form is not looked at."""
        door = door_of()
        await read_body(request, FORM, limit=FORM_LIMIT_BYTES)
        try:
            done = await linking.acknowledge(door.office, token, at := await door.now())
        except Refusal as refusal:
            return _refused(request, door, refusal)
        door.relay.publish_soon(done.rows)
        standing = Standing.DONE if done.taken_on else done.sent.standing
        door.metrics.links.labels(standing.value).inc()
        if before := done.taken_on:
            seconds = (at - before.alerted_at).total_seconds()
            door.metrics.count_acknowledgement(before.in_charge, seconds, in_time=at <= before.acknowledge_by)
        return _shown(done.sent, standing)

    return router


def _shown(sent: Sent, standing: Standing) -> Response:
    text = link_page.page(sent.facts, standing, sent.officer.name, sent.taken_by, sent.taken_at)
    return HTMLResponse(text, headers=link_page.HEADERS)


def _refused(request: Request, door: Door, refusal: Refusal) -> Response:
    """Answer alike whether a link is forged, expired, another's or withdrawn, in words for a person."""
    if refusal.status is not HTTPStatus.NOT_FOUND:
        raise refusal
    edge: Edge = request.app.state.edge
    edge.counted(refusal.status.value)
    door.metrics.links.labels("refused").inc()
    return HTMLResponse(link_page.not_found(), refusal.status.value, headers=link_page.HEADERS)
