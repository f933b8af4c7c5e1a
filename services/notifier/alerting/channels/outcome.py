"""How a try to deliver ended. Only a validated reply is Delivered. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

SHORTEST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 600.0
"""Within which a receiver's own wish to be left alone is honoured, in seconds. DingTalk's is ten minutes."""


class Cause(StrEnum):
    """Why a try failed, in few words: what metrics are told."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    ADDRESS = "address"
    STATUS = "status"
    PACE = "pace"
    ANSWER = "answer"
    SETTING = "setting"
    AGE = "age"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has said that it has the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The receiver may take it later; whether it has it already is not known.

    `after_seconds`: the receiver asks to be left alone for so long, with whatever there is for it.
    `reason` never holds what a receiver wrote, only codes and names of ours.
    """

    reason: str
    cause: Cause = Cause.STATUS
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """The receiver has said that it will never take it, or it could never be sent."""

    reason: str
    cause: Cause = Cause.STATUS


Outcome = Delivered | Retry | Dead


def outcome_of(status: int, retry_after: str = "") -> Outcome:
    """Turn an HTTP status into what to do: only 410 and redirects, which are never followed, end the tries at once."""
    match status:
        case _ if 200 <= status < 300:  # noqa: PLR2004 - 2xx
            return Delivered()
        case HTTPStatus.GONE:
            return Dead("status 410")
        case _ if 300 <= status < 400:  # noqa: PLR2004 - 3xx
            return Dead(f"status {status}")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            cause = Cause.PACE if status == HTTPStatus.TOO_MANY_REQUESTS else Cause.STATUS
            return Retry(f"status {status}", cause, wait_of(retry_after))
        case _:
            return Retry(f"status {status}")


def wait_of(retry_after: str) -> float | None:
    """Return the seconds a Retry-After asks for, within bounds; None where it names none (dates are not read)."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(max(float(retry_after[:9]), SHORTEST_WAIT), LONGEST_WAIT)
