"""One example of each event, as one visit to a counter makes them. People, accounts and keys are made up."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.events import (
    AccountType,
    Advice,
    CaseChanged,
    CaseStatus,
    Channel,
    DispositionCounted,
    DispositionOutcome,
    DispositionRecorded,
    Event,
    FeedbackContradicted,
    FeedbackReceived,
    FeedbackResult,
    Finding,
    Level,
    OrderChanged,
    OrderKind,
    OrderStatus,
    OutcomeApplied,
    OutcomeDecided,
    ReportFiled,
    ReportsCounted,
    RuleFinding,
    Tallied,
    Tally,
    TallyTaken,
    VerdictReached,
    VerdictTaken,
)

FILED_AT: Final = datetime(2026, 11, 22, 1, 31, 0, 120_000, tzinfo=UTC)
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PAYEE: Final = "v0mQ2cPzHq8sJt5yUe1LwXbN"
SEALED_IDENTITY: Final = "i1.nMfB1u0y2Wg3xk6m2s3Vb9mPq0o7Tz1cQ5eY8rL4aH0="
SEALED_NARRATIVE: Final = "n1.Zk4w9sT1yQ7pJc2mB6vX3eR8uL5aH0dG"


def _id(number: int, seconds: float = 0) -> UUID:
    """Return a UUIDv7 of the visit: `number` tells them apart."""
    milliseconds = int((FILED_AT + timedelta(seconds=seconds)).timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (0b10 << 62) | number)


def _after(seconds: float) -> datetime:
    return FILED_AT + timedelta(seconds=seconds)


REPORT_ID: Final = _id(1)
CASE_ID: Final = _id(3, 0.02)
ORDER_ID: Final = _id(4, 95)
DISPOSITION_ID: Final = _id(5, 40)
FEEDBACK_ID: Final = _id(6, 180)
OUTCOME_ID: Final = _id(7, 5400)

REPORT: Final = ReportFiled(
    report_id=REPORT_ID,
    bank="ICBC",
    branch="ICBC-SZ-LH-001",
    observed_at=_after(-45),
    filed_at=FILED_AT,
    late=False,
    amount_fen=9_800_000,
    channel=Channel.COUNTER_TRANSFER,
    payee_token=PAYEE,
    payee_bank="CCB",
    payee_account_type=AccountType.PERSONAL,
    payer_token="q7Rk1nVt4Zs0bYx9Ew3GmLhC",  # noqa: S106 - names nobody
    payer_person_token="J2dTf8KpXa6uNc0RyQ5SvHeW",  # noqa: S106 - likewise
    payer_age=73,
    cues=("on_phone_throughout", "safe_account"),
    flags=(),
    identity=SEALED_IDENTITY,
    narrative=SEALED_NARRATIVE,
)

VERDICT: Final = VerdictReached(
    verdict_id=_id(2, 0.01),
    version=1,
    level=Level.ALERT,
    score=97,
    scam_type="impersonated_authority",
    findings=(RuleFinding(rule="safe_account", weight=60, why="要求把钱转入“安全账户”"),),
    advice=Advice(ask=("是谁让您转这笔钱的？",), say=("公检法没有“安全账户”。",), do=("暂缓办理，等候民警来电",)),
    pack="2026.11",
    pack_hash="5f0c1f3a9d2e",
    judged_at=_after(0.01),
    report=REPORT,
)

ORDER: Final = OrderChanged(
    order_id=ORDER_ID,
    version=1,
    case_id=CASE_ID,
    kind=OrderKind.STOP,
    status=OrderStatus.PENDING,
    bank="CCB",
    amount_fen=9_800_000,
    application_type="02",
    original_application_id=REPORT_ID,
    emergency_level="02",
    payee_account_type=AccountType.PERSONAL,
    transfer_at=_after(-45),
    ordered_at=_after(95),
    starts_at=_after(95),
    unit="SZ-LH-CZ",
    scam_type="impersonated_authority",
    identity=SEALED_IDENTITY,
)

FEEDBACK: Final = FeedbackReceived(
    feedback_id=FEEDBACK_ID,
    order_id=ORDER_ID,
    case_id=CASE_ID,
    bank="CCB",
    result=FeedbackResult.SUCCESS,
    balance_before_fen=6_200_000,
    stopped_fen=6_200_000,
    executed_at=_after(170),
    expires_at=_after(170 + 48 * 3600),
    received_at=_after(180),
    identity=SEALED_IDENTITY,
)

TALLY: Final = Tally(
    what=Tallied.REPORTS,
    begins=datetime(2026, 11, 22, 1, tzinfo=UTC),
    ends=datetime(2026, 11, 22, 2, tzinfo=UTC),
    width_seconds=60,
    places=(31,),
    numbers=(1,),
    digests=(2_814_749_767_106,),
    fen=(9_800_000,),
)

EXAMPLES: Final[tuple[Event, ...]] = (
    REPORT,
    VERDICT,
    OutcomeApplied(outcome_id=OUTCOME_ID, case_id=CASE_ID, payee_token=PAYEE, applied_at=_after(5400.1)),
    VerdictTaken(verdict_id=_id(8, 600), report_id=REPORT_ID),
    DispositionRecorded(
        disposition_id=DISPOSITION_ID,
        report_id=REPORT_ID,
        payee_token=PAYEE,
        outcome=DispositionOutcome.CANCELLED,
        amount_fen=3_600_000,
        recorded_at=_after(40),
    ),
    CaseChanged(
        case_id=CASE_ID,
        version=2,
        status=CaseStatus.ACKNOWLEDGED,
        unit="SZ-LH-CZ",
        report_ids=(REPORT_ID,),
        opened_at=_after(0.02),
        acknowledged_at=_after(22),
    ),
    ReportsCounted(report_ids=(_id(9, 60), _id(10, 61))),
    DispositionCounted(disposition_id=DISPOSITION_ID, report_id=REPORT_ID, case_id=CASE_ID),
    ORDER,
    FEEDBACK,
    FeedbackContradicted(
        contradiction_id=_id(11, 240),
        order_id=ORDER_ID,
        case_id=CASE_ID,
        bank="CCB",
        result=FeedbackResult.FAILURE,
        received_at=_after(240),
    ),
    OutcomeDecided(
        outcome_id=OUTCOME_ID,
        case_id=CASE_ID,
        finding=Finding.CONFIRMED,
        scam_type="impersonated_authority",
        payee_token=PAYEE,
        report_ids=(REPORT_ID,),
        decided_at=_after(5400),
    ),
    TallyTaken(service="intake", before=datetime(2026, 11, 22, 2, tzinfo=UTC), tallies=(TALLY,)),
)

IDS: Final = (
    REPORT_ID,
    VERDICT.verdict_id,
    OUTCOME_ID,
    _id(8, 600),
    DISPOSITION_ID,
    _id(12, 22),
    _id(13, 61.1),
    _id(14, 40.1),
    _id(15, 95),
    FEEDBACK_ID,
    _id(11, 240),
    OUTCOME_ID,
    _id(16, 1800),
)
"""The CloudEvents ids of the examples, in their order."""
