"""The banks' door, reports: parse, delegate, answer."""

import re
import time
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.intake import batch, handlers, store
from services.intake.answers import BatchAnswer, ReportReceipt, ReportStatus, status_of
from services.intake.batch import NDJSON, BatchLine
from services.intake.desk import in_time
from services.intake.disposition import Disposition, DispositionReceipt
from services.intake.door import IDEMPOTENCY_KEY, Door, accepted, entered, filing, idempotency_key, now
from services.intake.handlers import Filed
from services.intake.report import Report
from shared.errors import Refusal, not_found
from shared.http import parse, read_body
from shared.openapi import REFERENCE, body_of, header_of, problems_of
from shared.outbox import unanswered
from shared.tracing import current

LONGEST_WAIT_SECONDS: Final = 3
PREFERRED_WAIT: Final = re.compile(r"\bwait=([0-9]{1,4})\b")

router = APIRouter(prefix="/v1", tags=["banks"])


KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same for every try at this report; bare or in quotes.",
    "schema": {"type": "string", "pattern": f"^({IDEMPOTENCY_KEY.pattern})$"},
    "example": "visit-0001",
}
WAIT_HEADER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=n`: hold the answer up to n seconds (at most {LONGEST_WAIT_SECONDS}).",
    "schema": {"type": "string"},
    "example": "wait=3",
}
BATCH_ANSWERED: Final[dict[str, Any]] = {
    "description": "A line for each line of the batch",
    "content": {NDJSON: {"schema": {"$ref": REFERENCE.format(model=BatchAnswer.__name__)}}},
}
LOCATION: Final = {"Location": header_of("Where the report is shown.")}
WAITED: Final = {**LOCATION, "Preference-Applied": header_of("The wait that was granted, such as `wait=3`.")}


@router.post(
    "/reports",
    status_code=202,
    response_model=ReportReceipt,
    openapi_extra={**body_of(Report), "parameters": [KEY_HEADER, WAIT_HEADER]},
    responses={
        200: {"model": ReportStatus, "description": "The verdict is there", "headers": WAITED},
        202: {"headers": LOCATION},
        **problems_of(400, 401, 403, 409, 413, 415, 422, 429, 503),
    },
)
async def post_report(request: Request) -> Response:
    """File a report. Needs `Idempotency-Key`; `Prefer: wait=3` holds the answer until there is a verdict."""
    began = time.perf_counter()
    door, bank = await entered(request)
    door.backlog.refuse_if_full()
    door.allowance.charge(bank, 1)
    key = _key_of(request)
    body = parse(Report, await read_body(request, "application/json"))
    outcome = await in_time(door.desk.hand_in(filing(door, bank, key, body, current())))
    report_id = accepted(door, bank, outcome)
    if isinstance(outcome, Filed) and not outcome.fresh:
        door.relay.publish_soon(await unanswered(door.pool, [report_id]))
    door.metrics.request_to_accepted.observe(time.perf_counter() - began)
    headers = {"Location": f"/v1/reports/{report_id}"}
    if wait := _preferred_wait(request):
        status = await _status(door, bank, report_id, wait)
        if status.level is not None:
            headers["Preference-Applied"] = f"wait={wait}"
            return JSONResponse(status.model_dump(mode="json"), 200, headers)
    return Response(f'{{"id":"{report_id}","status":"received"}}', 202, headers, "application/json")


@router.post(
    "/reports/batch",
    openapi_extra=body_of(BatchLine, NDJSON),
    response_class=Response,
    responses={200: BATCH_ANSWERED, **problems_of(400, 401, 403, 413, 415, 429, 503)},
)
async def post_batch(request: Request) -> Response:
    """File many reports, one a line, each with its own `idempotency_key`; the answer has a line for each."""
    door, bank = await entered(request)
    door.backlog.refuse_if_full()
    lines = batch.lines_of(await read_body(request, NDJSON, limit=batch.LIMIT_BYTES))
    door.allowance.charge(bank, len(lines))
    return Response(await batch.file_lines(door, bank, lines, current()), media_type=NDJSON)


async def get_batch(_request: Request) -> Response:
    """Refuse: a batch is posted. Without this its name would be taken for the id of a report."""
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})


@router.get(
    "/reports/{report_id}",
    response_model=ReportStatus,
    openapi_extra={"parameters": [WAIT_HEADER]},
    responses=problems_of(401, 403, 404, 422, 503),
)
async def get_report(request: Request, report_id: UUID) -> Response:
    """Return a report's status, verdict, advice for the teller and the state of its case."""
    door, bank = await entered(request)
    status = await _status(door, bank, report_id, _preferred_wait(request))
    return JSONResponse(status.model_dump(mode="json"))


@router.post(
    "/reports/{report_id}/disposition",
    response_model=DispositionReceipt,
    openapi_extra=body_of(Disposition),
    responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def post_disposition(request: Request, report_id: UUID) -> Response:
    """Record how the visit ended. A report has one disposition; the same again gets the same answer."""
    door, bank = await entered(request)
    body = parse(Disposition, await read_body(request, "application/json"))
    found, at, rows = await handlers.record_disposition(door.pool, bank, report_id, body, now())
    if rows:
        door.metrics.dispositions.labels(bank, body.outcome.value).inc()
    door.relay.publish_soon(rows)
    answer = DispositionReceipt(id=found, report_id=report_id, recorded_at=at)
    return JSONResponse(answer.model_dump(mode="json"))


async def _status(door: Door, bank: str, report_id: UUID, wait: int) -> ReportStatus:
    row = await store.report_status(door.pool, bank, report_id)
    if row is not None and row["verdict"] is None and wait:
        await door.board.wait(report_id, wait)
        row = await store.report_status(door.pool, bank, report_id)
    if row is None:
        raise not_found("report")
    return status_of(row)


def _key_of(request: Request) -> str:
    given = request.headers.getlist("idempotency-key")
    if len(given) != 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Send one Idempotency-Key: the same for every try at this report.")
    return idempotency_key(given[0])


def _preferred_wait(request: Request) -> int:
    match = PREFERRED_WAIT.search(request.headers.get("prefer", ""))
    return min(int(match.group(1)), LONGEST_WAIT_SECONDS) if match else 0
