"""The events that travel between the services: the only thing they share.

Each is a fact in the past tense. On the wire it is a CloudEvents 1.0 record in binary mode: the
attributes are Kafka headers, the value is the model as JSON. Account and identity numbers appear as
keyed tokens only; names, numbers and free text travel sealed (see `shared.privacy`).
A consumer ignores fields it does not know, so that a newer producer does not break it.
"""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.money import Fen, PositiveFen

Token = str
"""A keyed hash of an account or identity number: equal numbers have equal tokens, nothing else shows."""

Sealed = str
"""AES-GCM text `key-id.base64`; `identity` and `narrative` have keys of their own."""


class Level(StrEnum):
    """How urgent a verdict is."""

    CLEAR = "clear"
    CAUTION = "caution"
    ALERT = "alert"


class Channel(StrEnum):
    """How the customer wants the money to leave."""

    COUNTER_TRANSFER = "counter_transfer"
    COUNTER_CASH = "counter_cash"
    COUNTER_REMITTANCE = "counter_remittance"
    SELF_SERVICE = "self_service"
    ATM = "atm"
    ONLINE = "online"
    MOBILE = "mobile"


class AccountType(StrEnum):
    """Whose account it is: a person's or an organisation's."""

    PERSONAL = "personal"
    CORPORATE = "corporate"


class DispositionOutcome(StrEnum):
    """How the visit to the counter ended."""

    CANCELLED = "cancelled"
    PROCEEDED = "proceeded"
    ALREADY_SENT = "already_sent"


class Tallied(StrEnum):
    """What services compare with one another; the last two are what a service compares within itself."""

    REPORTS = "reports"
    DISPOSITIONS = "dispositions"
    CASES = "cases"
    ORDERS = "orders"
    FEEDBACK = "feedback"
    OUTCOMES = "outcomes"
    ANSWERS = "answers"
    ALERTS = "alerts"


class CaseStatus(StrEnum):
    """Where a case stands with the police."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Finding(StrEnum):
    """What the police found when they closed a case."""

    CONFIRMED = "confirmed"
    UNFOUNDED = "unfounded"


class OrderKind(StrEnum):
    """What a bank is told to do with an account."""

    STOP = "stop"
    EXTEND_STOP = "extend_stop"
    RELEASE_STOP = "release_stop"
    FREEZE = "freeze"
    EXTEND_FREEZE = "extend_freeze"
    UNFREEZE = "unfreeze"
    RETURN_FUNDS = "return_funds"


class OrderStatus(StrEnum):
    """Where an order stands: waiting for the bank, done by it, or not possible for it."""

    PENDING = "pending"
    EXECUTED = "executed"
    FAILED = "failed"


class FeedbackResult(StrEnum):
    """Whether the bank did what the order says."""

    SUCCESS = "success"
    FAILURE = "failure"


class Failure(StrEnum):
    """Why a bank did not do what an order says: it could not, facts do not match, or there is nothing to do it to."""

    TECHNICAL = "technical"
    MISMATCH = "mismatch"
    BUSINESS = "business"


class Checked(StrEnum):
    """What a bank compares with its books before it stops (银发〔2016〕86号)."""

    NAME = "name"
    ACCOUNT = "account"
    AMOUNT = "amount"
    TRANSFER_AT = "transfer_at"


class Wire(BaseModel):
    """Anything inside an event: frozen, and strict about types but not about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Event(Wire):
    """A fact on the wire. `type` names it with its version, `topic` says where it travels."""

    type: ClassVar[str]
    topic: ClassVar[str]

    def key(self) -> str:
        """Return the partition key: events that must stay in order share it."""
        raise NotImplementedError


REPORTS = "lanjie.reports.v1"
VERDICTS = "lanjie.verdicts.v1"
DISPOSITIONS = "lanjie.dispositions.v1"
CASES = "lanjie.cases.v1"
ORDERS = "lanjie.orders.v1"
FEEDBACK = "lanjie.feedback.v1"
OUTCOMES = "lanjie.outcomes.v1"
TALLIES = "lanjie.tallies.v1"
TOPICS = (REPORTS, VERDICTS, DISPOSITIONS, CASES, ORDERS, FEEDBACK, OUTCOMES, TALLIES)


def dead_letters(topic: str) -> str:
    """Name the topic that holds what could not be read from `topic`."""
    return f"{topic}.dlq"


class ReportFiled(Event):
    """A bank reported a suspicious transfer, and intake has it on disk."""

    type: ClassVar[str] = "lanjie.report.filed.v1"
    topic: ClassVar[str] = REPORTS

    report_id: UUID
    bank: str
    branch: str
    observed_at: AwareDatetime
    filed_at: AwareDatetime
    late: bool
    amount_fen: PositiveFen
    channel: Channel
    payee_token: Token
    payee_bank: str
    payee_account_type: AccountType
    payer_token: Token
    payer_person_token: Token | None = None
    payer_age: int | None = None
    cues: tuple[str, ...]
    flags: tuple[str, ...]
    identity: Sealed
    narrative: Sealed

    def key(self) -> str:
        return self.payee_token


class RuleFinding(Wire):
    """One rule that spoke, with its weight in points and why, in Chinese."""

    rule: str
    weight: int
    why: str


class Advice(Wire):
    """What the teller should ask, say and do now, in Chinese."""

    ask: tuple[str, ...]
    say: tuple[str, ...]
    do: tuple[str, ...]


class VerdictReached(Event):
    """The rules judged a report. It carries the report, since the notifier reads no other topic of it.

    A report is judged again when more becomes known of its payee: `version` 2 and up, at a higher level.
    """

    type: ClassVar[str] = "lanjie.verdict.reached.v1"
    topic: ClassVar[str] = VERDICTS

    verdict_id: UUID
    version: int
    level: Level
    score: int
    scam_type: str | None
    findings: tuple[RuleFinding, ...]
    advice: Advice
    pack: str
    pack_hash: str | None = None
    judged_at: AwareDatetime
    report: ReportFiled

    def key(self) -> str:
        return self.report.payee_token


class OutcomeApplied(Event):
    """The rules know of an outcome: the next report on that payee is judged by it."""

    type: ClassVar[str] = "lanjie.outcome.applied.v1"
    topic: ClassVar[str] = VERDICTS

    outcome_id: UUID
    case_id: UUID
    payee_token: Token
    applied_at: AwareDatetime

    def key(self) -> str:
        return self.payee_token


class VerdictTaken(Event):
    """The police's side knows a verdict of version 2 or higher: the answer to it."""

    type: ClassVar[str] = "lanjie.verdict.taken.v1"
    topic: ClassVar[str] = OUTCOMES

    verdict_id: UUID
    report_id: UUID

    def key(self) -> str:
        return str(self.report_id)


class DispositionRecorded(Event):
    """The teller said how the visit ended."""

    type: ClassVar[str] = "lanjie.disposition.recorded.v1"
    topic: ClassVar[str] = DISPOSITIONS

    disposition_id: UUID
    report_id: UUID
    payee_token: Token
    outcome: DispositionOutcome
    amount_fen: Fen
    recorded_at: AwareDatetime

    def key(self) -> str:
        return self.payee_token


class CaseChanged(Event):
    """A case as it stands now; a consumer ignores a version older than the one it has.

    `report_ids` are those of its reports that this answers for: that have come into it, or were asked about again; of a
    case that was split off, all. Not named is not gone: a report is in the case that named it last, and of two the
    later. An older event may tell what no newer one repeats.
    """

    type: ClassVar[str] = "lanjie.case.changed.v1"
    topic: ClassVar[str] = CASES

    case_id: UUID
    version: int
    status: CaseStatus
    unit: str
    report_ids: tuple[UUID, ...]
    opened_at: AwareDatetime
    acknowledged_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    finding: Finding | None = None

    def key(self) -> str:
        return str(self.case_id)


class ReportsCounted(Event):
    """The ledger knows these reports, and none of them is in a case: the answer to reports below alert level."""

    type: ClassVar[str] = "lanjie.reports.counted.v1"
    topic: ClassVar[str] = CASES

    report_ids: tuple[UUID, ...]

    def key(self) -> str:
        return str(self.report_ids[0])


class DispositionCounted(Event):
    """The ledger knows of a disposition, whether or not its report is in a case."""

    type: ClassVar[str] = "lanjie.disposition.counted.v1"
    topic: ClassVar[str] = CASES

    disposition_id: UUID
    report_id: UUID
    case_id: UUID | None

    def key(self) -> str:
        return str(self.case_id or self.report_id)


class OrderChanged(Event):
    """An order to a bank as it stands now. `answers` names the feedback this version carries.

    `acts_on` is the earlier order whose hold it extends, ends or freezes; `account_level` is 1 for the account
    that the customer paid, 2 and more for those the money moved on to. `term_months` and the fields after it are
    a freeze's.
    """

    type: ClassVar[str] = "lanjie.order.changed.v1"
    topic: ClassVar[str] = ORDERS

    order_id: UUID
    version: int
    case_id: UUID
    kind: OrderKind
    status: OrderStatus
    bank: str
    amount_fen: Fen
    application_type: str
    original_application_id: UUID | None = None
    emergency_level: str
    payee_account_type: AccountType
    transfer_at: AwareDatetime
    ordered_at: AwareDatetime
    starts_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    unit: str
    scam_type: str | None = None
    account_level: int = 1
    acts_on: UUID | None = None
    term_months: int | None = None
    scope: str | None = None
    includes_proceeds: bool | None = None
    notice_number: str | None = None
    identity: Sealed
    answers: UUID | None = None

    def key(self) -> str:
        return str(self.case_id)


class FeedbackReceived(Event):
    """The bank answered an order. Its words and the onward accounts are sealed in `identity`."""

    type: ClassVar[str] = "lanjie.feedback.received.v1"
    topic: ClassVar[str] = FEEDBACK

    feedback_id: UUID
    order_id: UUID
    case_id: UUID
    bank: str
    result: FeedbackResult
    balance_before_fen: Fen | None = None
    stopped_fen: Fen | None = None
    frozen_fen: Fen | None = None
    returned_fen: Fen | None = None
    executed_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    failure: Failure | None = None
    mismatch: tuple[Checked, ...] = ()
    received_at: AwareDatetime
    identity: Sealed

    def key(self) -> str:
        return str(self.case_id)


class FeedbackContradicted(Event):
    """The bank answered an order a second time, otherwise than the first: a person must look."""

    type: ClassVar[str] = "lanjie.feedback.contradicted.v1"
    topic: ClassVar[str] = FEEDBACK

    contradiction_id: UUID
    order_id: UUID
    case_id: UUID
    bank: str
    result: FeedbackResult
    stopped_fen: Fen | None = None
    received_at: AwareDatetime

    def key(self) -> str:
        return str(self.case_id)


class OutcomeDecided(Event):
    """The police closed a case and said what it was; `report_ids` are all its reports, named here once.

    With `withdraws` they reopened it: the outcome of that id, which said the same, counts no more, whichever of the
    two is heard first.
    """

    type: ClassVar[str] = "lanjie.outcome.decided.v1"
    topic: ClassVar[str] = OUTCOMES

    outcome_id: UUID
    case_id: UUID
    finding: Finding
    scam_type: str | None
    payee_token: Token
    report_ids: tuple[UUID, ...]
    decided_at: AwareDatetime
    withdraws: UUID | None = None

    def key(self) -> str:
        return str(self.case_id)


class Tally(Wire):
    """What a service has of one kind, by windows of time from `begins` until before `ends`; the last may be shorter.

    A thing is in the window in which its id was minted: a report, or the report of a disposition; a case, an order, a
    feedback, an outcome. `places` names the windows that are not empty, counted from 0; `numbers`, `digests` and
    `fen` say of each how much there is. The digest is the exclusive or of PostgreSQL's `uuid_hash_extended(id,
    version)`, its lowest 52 bits; without versions the second is 0. `fen` is money, and 0 where there is none to it.
    """

    what: Tallied
    begins: AwareDatetime
    ends: AwareDatetime
    width_seconds: int
    places: tuple[int, ...]
    numbers: tuple[int, ...]
    digests: tuple[int, ...]
    fen: tuple[int, ...]


class TallyTaken(Event):
    """A service counted what it has, for the others to compare. It is said again and again, so none needs an answer.

    What is later than `before` is not counted: it may be under way.
    """

    type: ClassVar[str] = "lanjie.tally.taken.v1"
    topic: ClassVar[str] = TALLIES

    service: str
    before: AwareDatetime
    tallies: tuple[Tally, ...]

    def key(self) -> str:
        return self.service


EVENTS: dict[str, type[Event]] = {
    event.type: event
    for event in (
        ReportFiled,
        VerdictReached,
        OutcomeApplied,
        VerdictTaken,
        DispositionRecorded,
        CaseChanged,
        ReportsCounted,
        DispositionCounted,
        OrderChanged,
        FeedbackReceived,
        FeedbackContradicted,
        OutcomeDecided,
        TallyTaken,
    )
}
