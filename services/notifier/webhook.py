"""The webhook channel: an alert, signed by the Standard Webhooks rules, posted to a unit's own system."""

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import httpx2
from standardwebhooks.webhooks import Webhook

HIGHEST_PORT: Final = 65_535
EVENT_TYPE: Final = "lanjie.alert.v1"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered 2xx: it has the alert."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The receiver may take it later; whether it has it already is not known."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The receiver has said that it will never take it."""

    reason: str


Outcome = Delivered | Retry | Dead


def refuse_useless(url: str, secret: str) -> None:
    """Raise `ValueError` where an address cannot be posted to, or a secret cannot sign."""
    try:
        address, key = httpx2.URL(url), base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ValueError("a webhook needs a URL, and a secret in base64 after whsec_") from error
    reachable = address.scheme in ("http", "https") and address.host and (address.port or 0) <= HIGHEST_PORT
    if not reachable or not key:
        raise ValueError(
            "a webhook needs an http(s) URL that names a host and a port there is, and a secret that is not empty"
        )


async def post(
    client: httpx2.AsyncClient, url: str, secret: str, alert_id: UUID, facts: dict[str, Any], timeout_seconds: float
) -> Outcome:
    """Post one alert. The id is the alert's at every try, so that the receiver can tell a repetition."""
    now = datetime.now(UTC)
    body = json.dumps({"type": EVENT_TYPE, "timestamp": now.isoformat(), "data": facts}, ensure_ascii=False)
    headers = {
        "content-type": "application/json",
        "webhook-id": str(alert_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(str(alert_id), now, body),
    }
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            client.stream("POST", url, content=body.encode(), headers=headers) as response,
        ):
            return outcome_of(response.status_code)
    except TimeoutError:
        return Retry("timeout")
    except httpx2.HTTPError as error:
        return Retry(type(error).__name__)


def outcome_of(status: int) -> Outcome:
    """Turn a status into what to do: only 410 and redirects, which are never followed, end the tries at once."""
    match status:
        case _ if 200 <= status < 300:  # noqa: PLR2004 - 2xx
            return Delivered()
        case HTTPStatus.GONE:
            return Dead("status 410")
        case _ if 300 <= status < 400:  # noqa: PLR2004 - 3xx
            return Dead(f"status {status}")
        case _:
            return Retry(f"status {status}")
