"""What notifier hears of a batch of records: each kind to its use case, counted, announced, answered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from services.notifier import consumers
from services.notifier.metrics import Metrics
from shared.events import (
    CaseChanged,
    DispositionCounted,
    Event,
    Level,
    OrderChanged,
    OutcomeApplied,
    OutcomeDecided,
    ReportsCounted,
)
from shared.outbox import Outgoing, new_id
from shared.records import Received, Record
from tests.parts import Door
from tests.service.notifier.builders import (
    a_contradiction,
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    judged_again,
    now,
    office,
    said,
)
from tests.service.notifier.police import case_of, close, new_case, ordered, promised, timeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_RECORD = cast("Record", None)


class Ears:
    """notifier's ears on a door's database, with their own metrics."""

    def __init__(self, door: Door) -> None:
        self.metrics = Metrics()
        self.announced = 0
        self._handle = consumers.handling(office(door.pool), self.metrics, self._alerted)

    async def hear(self, *events: Event) -> Sequence[Outgoing]:
        return await self._handle([Received(event, new_id(), "", NO_RECORD) for event in events])

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def _alerted(self) -> None:
        self.announced += 1


async def test_a_mixed_batch_is_taken_counted_and_answered(shared_notifier: Door) -> None:
    ears, account = Ears(shared_notifier), an_account()
    alert, joins, quiet = a_verdict(account), a_verdict(account), a_verdict(account, level=Level.CAUTION)
    rows = await ears.hear(alert, a_disposition(alert), quiet, joins)
    assert len(said(rows, CaseChanged)) == len(said(rows, DispositionCounted)) == len(said(rows, ReportsCounted)) == 1
    assert ears.announced == 1
    assert ears.counted("lanjie_case_reports_rejudged_total", unit="SZ-LH-CZ", how="opened") == 0
    assert ears.counted("lanjie_reports_counted_total", level="alert") == 2
    assert ears.counted("lanjie_reports_counted_total", level="caution") == 1
    for how in ("opened", "joined"):
        assert ears.counted("lanjie_case_reports_total", unit="SZ-LH-CZ", how=how) == 1
    assert ears.counted("lanjie_stage_seconds_count", stage="accepted_to_alert") == 2


async def test_a_repeated_batch_announces_and_counts_nothing_again(shared_notifier: Door) -> None:
    ears, verdict = Ears(shared_notifier), a_verdict(an_account())
    await ears.hear(verdict)
    rows = await ears.hear(verdict)
    assert len(said(rows, CaseChanged)) == 1
    assert ears.announced == 1
    assert ears.counted("lanjie_reports_counted_total", level="alert") == 1


async def test_a_report_that_is_judged_again_is_counted_apart_and_spoils_no_clock(shared_notifier: Door) -> None:
    ears, account = Ears(shared_notifier), an_account()
    first, other = (a_verdict(account, level=Level.CAUTION, filed_at=now() - timedelta(minutes=50)) for _ in range(2))
    await ears.hear(first, other)
    again = judged_again(first)
    for _ in range(2):
        await ears.hear(again)
    await ears.hear(judged_again(other))
    assert ears.announced == 2
    assert ears.counted("lanjie_reports_counted_total", level="caution") == 2
    assert ears.counted("lanjie_reports_counted_total", level="alert") == 0
    for how in ("opened", "joined"):
        assert ears.counted("lanjie_case_reports_total", unit="SZ-LH-CZ", how=how) == 1
        assert ears.counted("lanjie_case_reports_rejudged_total", unit="SZ-LH-CZ", how=how) == 1
    assert ears.counted("lanjie_stage_seconds_count", stage="accepted_to_alert") == 0
    assert ears.counted("lanjie_stage_seconds_count", stage="rejudged_to_alert") == 2
    assert ears.counted("lanjie_stage_seconds_bucket", stage="rejudged_to_alert", le="60.0") == 2


async def test_alerts_alone_are_announced(shared_notifier: Door) -> None:
    ears = Ears(shared_notifier)
    await ears.hear(a_verdict(an_account(), level=Level.CAUTION))
    assert ears.announced == 0


async def test_an_answer_is_counted_once_and_a_contradiction_reaches_the_case(shared_notifier: Door) -> None:
    ears, case_id = Ears(shared_notifier), await new_case(shared_notifier)
    order = await ordered(shared_notifier, case_id)
    feedback = a_success(order)
    rows = await ears.hear(feedback, feedback, a_contradiction(order))
    assert len(said(rows, OrderChanged)) == 3
    assert ears.counted("lanjie_order_answers_total", kind="stop", bank="CCB", status="executed") == 1
    assert ears.counted("lanjie_stage_seconds_count", stage="order_to_feedback") == 1
    assert ears.counted("lanjie_stage_seconds_count", stage="accepted_to_stopped") == 1
    assert timeline(await case_of(shared_notifier, case_id))[-2:] == ["feedback", "contradiction"]


async def test_the_rules_answer_ends_the_promise_of_the_outcome(shared_notifier: Door) -> None:
    ears, case_id = Ears(shared_notifier), await new_case(shared_notifier)
    assert (await close(shared_notifier, case_id)).status_code == 200
    [row] = await promised(shared_notifier, case_id)
    outcome = OutcomeDecided.model_validate_json(row["payload"])
    other = OutcomeApplied(outcome_id=new_id(), case_id=UUID(case_id), payee_token="t", applied_at=now())
    await ears.hear(other)
    assert len(await promised(shared_notifier, case_id)) == 1
    await ears.hear(other.model_copy(update={"outcome_id": outcome.outcome_id}))
    assert await promised(shared_notifier, case_id) == []
