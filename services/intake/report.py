"""A bank's report: its shape, what makes it acceptable, and what goes on the wire."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from services.intake.identity import Account, Code, FreeText, Name, Phone, ResidentId, age_on, passes_luhn
from shared.errors import FieldProblem
from shared.events import AccountType, Channel, ReportFiled
from shared.fields import as_text, described
from shared.money import PositiveFen
from shared.privacy import Seal, Tokens

CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)
LATE_AFTER: Final = timedelta(days=30)
MOST_CUES: Final = 50
PEOPLE: Final = {"payer", "payee", "teller_id"}
EARLIEST_YEAR: Final = 1900
LATEST_YEAR: Final = 2999
_compact: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _near(moment: datetime) -> datetime:
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"must lie in the years {EARLIEST_YEAR} to {LATEST_YEAR}")
    return moment


Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(as_text),
    AfterValidator(_near),
    described(pattern="^(19|2[0-9])[0-9]{2}-"),
]
"""A point in time that any of the services can store, whatever its offset; a bare number is no time."""


class Strict(BaseModel):
    """A body from outside: no unknown fields, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Transfer(Strict):
    """What the customer wants to do. `amount_fen` is in fen."""

    amount_fen: PositiveFen
    currency: Literal["CNY"]
    channel: Channel
    purpose: FreeText = ""


class Payer(Strict):
    """The customer at the counter. An organisation has no identity number."""

    name: Name
    account: Account
    id_number: ResidentId | None = None
    phone: Phone | None = None


class Payee(Strict):
    """Whom the money would go to."""

    name: Name
    account: Account
    bank_code: Code
    account_type: AccountType


class Report(Strict):
    """A suspicious transfer as the branch system posts it."""

    bank_reference: Code
    branch_code: Code
    teller_id: Code
    observed_at: Moment
    transfer: Transfer
    payer: Payer
    payee: Payee
    cues: Annotated[tuple[Code, ...], Field(max_length=MOST_CUES)] = ()
    note: FreeText = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a report is checked against: each branch's bank, and the cues that exist."""

    bank_of_branch: Mapping[str, str]
    cues: frozenset[str]


@dataclass(frozen=True, slots=True)
class Privacy:
    """The keys intake holds: it makes tokens and seals everything."""

    tokens: Tokens
    identity: Seal
    narrative: Seal


def problems(report: Report, bank: str, reference: Reference, now: datetime) -> list[FieldProblem]:
    """Return what keeps a well-formed report from being accepted."""
    found = []
    if reference.bank_of_branch.get(report.branch_code) != bank:
        found.append(FieldProblem(field="branch_code", message="is not a branch of this bank that we know"))
    for place, cue in enumerate(report.cues):
        if cue not in reference.cues:
            found.append(FieldProblem(field=f"cues.{place}", message="is not a cue that we know"))
    if report.observed_at > now + CLOCKS_MAY_DIFFER:
        found.append(FieldProblem(field="observed_at", message="is more than 5 minutes ahead of our clock"))
    if report.payer.id_number and age_on(report.payer.id_number, report.observed_at.date()) < 0:
        found.append(FieldProblem(field="payer.id_number", message="holds a date of birth that is still to come"))
    return found


def flags(report: Report, now: datetime) -> list[str]:
    """Return what is odd about a report without being a reason to refuse it."""
    odd = {
        "payer_is_payee": report.payer.account == report.payee.account,
        "payer_account_fails_luhn": not passes_luhn(report.payer.account),
        "payee_account_fails_luhn": not passes_luhn(report.payee.account),
        "late": report.observed_at < now - LATE_AFTER,
    }
    return [name for name, applies in odd.items() if applies]


def filed(report: Report, report_id: UUID, bank: str, privacy: Privacy, now: datetime) -> ReportFiled:
    """Turn an accepted report into the event: tokens for the numbers, seals for the rest."""
    payer = report.payer
    tokens = privacy.tokens
    odd = flags(report, now)
    identity = report.model_dump_json(include=PEOPLE)
    narrative = _compact({"note": report.note, "purpose": report.transfer.purpose})
    return ReportFiled(
        report_id=report_id,
        bank=bank,
        branch=report.branch_code,
        observed_at=report.observed_at,
        filed_at=now,
        late="late" in odd,
        amount_fen=report.transfer.amount_fen,
        channel=report.transfer.channel,
        payee_token=tokens.of("account", report.payee.account),
        payee_bank=report.payee.bank_code,
        payee_account_type=report.payee.account_type,
        payer_token=tokens.of("account", payer.account),
        payer_person_token=tokens.of("person", payer.id_number) if payer.id_number else None,
        payer_age=age_on(payer.id_number, report.observed_at.date()) if payer.id_number else None,
        cues=tuple(dict.fromkeys(report.cues)),
        flags=tuple(odd),
        identity=privacy.identity.seal(identity, str(report_id)),
        narrative=privacy.narrative.seal(narrative, str(report_id)),
    )


def fingerprint(model: BaseModel, tokens: Tokens) -> bytes:
    """Return a keyed digest of what a body says: equal for the same facts, however they are spaced."""
    return tokens.digest(model.model_dump_json().encode())
