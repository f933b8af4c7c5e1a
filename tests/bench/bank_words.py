"""What a bank says to an order in a random life: all of it, some of it or none is done; and then the contrary."""

import json
import random
from datetime import datetime, timedelta

from services.notifier.orders.order import FREEZING, STOPPING
from shared.events import (
    Checked,
    Failure,
    FeedbackContradicted,
    FeedbackReceived,
    FeedbackResult,
    OrderChanged,
    OrderKind,
)
from shared.outbox import new_id
from tests.bench.coins import Known
from tests.parts import IDENTITY
from tests.service.notifier.builders import an_account, moved_to


def an_answer(chance: random.Random, event: OrderChanged, known: Known, now: datetime) -> FeedbackReceived:
    ok = chance.random() < 0.8
    mismatch = (Checked.NAME,) if not ok and chance.random() < 0.4 else ()
    fen = chance.choice((known.ordered_fen, chance.randint(0, known.ordered_fen)))
    silent = known.kind in (OrderKind.EXTEND_STOP, OrderKind.EXTEND_FREEZE) and chance.random() < 0.3
    told = fen if ok and not silent else None
    many = chance.randint(0, 2)
    moved = [moved_to(an_account(), chance.randint(1, 90), "CCB", now) for _ in range(many)]
    words = {"failure_cause": None, "remark": None, "operator": None}
    feedback_id = new_id()
    return FeedbackReceived(
        feedback_id=feedback_id,
        order_id=event.order_id,
        case_id=event.case_id,
        bank=event.bank,
        result=FeedbackResult.SUCCESS if ok else FeedbackResult.FAILURE,
        balance_before_fen=fen + chance.randint(0, 30) if ok and chance.random() < 0.5 else None,
        stopped_fen=told if known.kind in STOPPING else None,
        frozen_fen=told if known.kind in FREEZING else None,
        returned_fen=told if known.kind is OrderKind.RETURN_FUNDS else None,
        executed_at=now - timedelta(minutes=chance.randint(0, 20)) if ok else None,
        failure=None if ok else Failure.MISMATCH if mismatch else Failure.TECHNICAL,
        mismatch=mismatch,
        received_at=now,
        identity=IDENTITY.seal(
            json.dumps({**words, "onward": moved if known.kind in STOPPING else []}), str(feedback_id)
        ),
    )


def a_contradiction(feedback: FeedbackReceived) -> FeedbackContradicted:
    """Return what a bank says that has changed its mind."""
    return FeedbackContradicted(
        contradiction_id=new_id(),
        order_id=feedback.order_id,
        case_id=feedback.case_id,
        bank=feedback.bank,
        result=FeedbackResult.SUCCESS,
        stopped_fen=99,
        received_at=feedback.received_at,
    )
