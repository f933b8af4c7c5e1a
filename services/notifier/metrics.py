"""Every metric of notifier, and the question it answers."""

from collections.abc import Sequence

from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.outcome import Cause
from services.notifier.alerting.target_store import Owner
from services.notifier.clock.clock import Stage
from services.notifier.duty.link_page import Standing
from services.notifier.orders.law import Rule
from services.notifier.reconciling import SHARE
from services.notifier.table_metrics import TableMetrics
from shared.events import Finding, Level, OrderKind
from shared.metrics import BANKS, STATUSES, UNITS, Question, one_of
from shared.observe import Runtime
from shared.postgres import TRANSIENT
from shared.runtime_metrics import RuntimeMetrics
from shared.share import ReconcilingMetrics

LATENESS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
ACKNOWLEDGEMENT_BUCKETS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Seconds. The deadlines by default are among them: 60 where it is urgent, 300 else; 1800 is the golden half hour."""

STAGES = (
    *("accepted_to_alert", "rejudged_to_alert", "alert_to_stream", "alert_to_delivered", "alert_to_acknowledged"),
    *("acknowledged_to_ordered", "order_to_feedback", "accepted_to_stopped"),
)
HOW = one_of(("opened", "joined"))
STEPS = one_of(map(str, range(25)), "0 for the first time, 1 and more for each time after; of a warning the hours left")


class Metrics(RuntimeMetrics):
    """Bank and unit labels are codes from the reference data, so their number is bounded."""

    def __init__(self) -> None:
        super().__init__("notifier")
        self.tables = TableMetrics(self.shelf)
        self.reconciling = ReconcilingMetrics(self.shelf, SHARE)
        self.stage = self.shelf.histogram(
            "lanjie_stage_seconds",
            "How long a stage of the chain took",
            "where does the golden time go?",
            Question.TIME,
            stage=one_of(STAGES),
        )
        self._add_cases()
        self._add_acknowledgements()
        self._add_clock()
        self._add_orders()
        self._add_channels()
        self._add_door()

    def _add_cases(self) -> None:
        shelf = self.shelf
        self.reports = shelf.counter(
            "lanjie_reports_counted_total",
            "Judged reports taken in, by level",
            "do all reports arrive?",
            Question.TRAFFIC,
            level=one_of(Level),
        )
        self.cases = shelf.counter(
            "lanjie_case_reports_total",
            "Alert-level reports, by unit and by whether they opened a case or joined one",
            "how much work comes to which unit?",
            Question.TRAFFIC,
            unit=UNITS,
            how=HOW,
        )
        self.rejudged = shelf.counter(
            "lanjie_case_reports_rejudged_total",
            "Those of them that were judged below alert at first",
            "what do later facts bring up?",
            Question.RULES,
            unit=UNITS,
            how=HOW,
        )
        self.closed = shelf.counter(
            "lanjie_cases_closed_total",
            "Cases closed, by finding",
            "which share of them was unfounded?",
            Question.RULES,
            unit=UNITS,
            finding=one_of(Finding),
        )
        self._unfounded = shelf.counter(
            "lanjie_reports_unfounded_total",
            "Reports in cases closed as unfounded; reopening takes none back",
            "who holds customers up for nothing?",
            Question.RULES,
            bank=BANKS,
            unit=UNITS,
        )

    def _add_acknowledgements(self) -> None:
        shelf = self.shelf
        self.acknowledgements = shelf.counter(
            "lanjie_acknowledgements_total",
            "Cases taken on, by whether that was in time",
            "who is in time?",
            Question.LATE,
            unit=UNITS,
            in_time=one_of(("true", "false")),
        )
        self.acknowledged = shelf.histogram(
            "lanjie_acknowledgement_seconds",
            "From the alert to the acknowledgement, by the unit in charge",
            "which unit takes how long to pick up the phone?",
            Question.LATE,
            buckets=ACKNOWLEDGEMENT_BUCKETS,
            unit=UNITS,
        )
        self.links = shelf.counter(
            "lanjie_links_total",
            "One-time links opened, by what came of it",
            "do officers acknowledge by link, or find it used?",
            Question.TRAFFIC,
            outcome=one_of(("shown", "refused", *(one.value for one in Standing))),
        )

    def _add_clock(self) -> None:
        shelf = self.shelf
        self.lateness = shelf.histogram(
            "lanjie_deadline_lateness_seconds",
            "How long after its time a deadline was followed up, by the database's clock",
            "does the watch keep up?",
            Question.TIME,
            buckets=LATENESS_BUCKETS,
            stage=one_of(Stage),
        )
        self.escalations = shelf.counter(
            "lanjie_escalations_total",
            "Deadlines that came and were followed up, by the unit in charge",
            "who is late again and again, and how far up did it go?",
            Question.LATE,
            stage=one_of(Stage),
            step=STEPS,
            unit=UNITS,
        )
        self.deadlines_failed = shelf.counter(
            "lanjie_deadlines_failed_total",
            "Cases whose deadlines could not be followed up and were set aside for a while",
            "is there a defect? `deadline_not_followed_up` in the log names the case",
            Question.STUCK,
        )

    def _add_orders(self) -> None:
        shelf = self.shelf
        self.orders = shelf.counter(
            "lanjie_orders_total",
            "Orders given, by kind and bank",
            "what do officers order?",
            Question.TRAFFIC,
            kind=one_of(OrderKind),
            bank=BANKS,
        )
        self.approvals = shelf.counter(
            "lanjie_order_approvals_total",
            "Proposed orders that a second officer approved or turned down",
            "what do second officers turn down?",
            Question.TRAFFIC,
            kind=one_of(OrderKind),
            decision=one_of(("approved", "rejected")),
        )
        self.answers = shelf.counter(
            "lanjie_order_answers_total",
            "Orders answered by the bank",
            "which bank executes, and which fails?",
            Question.MONEY,
            kind=one_of(OrderKind),
            bank=BANKS,
            status=one_of(("executed", "failed")),
        )
        self.unlawful = shelf.counter(
            "lanjie_steps_refused_total",
            "Steps refused because they would break a rule, by its name",
            "what do officers not know of the law?",
            Question.TRAFFIC,
            rule=one_of(Rule, "names of the rules in orders.md"),
        )

    def _add_channels(self) -> None:
        shelf = self.shelf
        self.deliveries = shelf.counter(
            "lanjie_deliveries_total",
            "Tries to deliver a message, by the kind of its target's owner, by outcome and why not",
            "which channel does not get through, and why?",
            Question.STUCK,
            channel=one_of(Channel),
            owner=one_of(Owner),
            outcome=one_of(("delivered", "retry", "dead")),
            reason=one_of((*(one.value for one in Cause), ""), f"{one_of(Cause).says}; empty where it was delivered"),
        )
        self.readers = shelf.gauge(
            "lanjie_stream_readers",
            "Screens that follow the alert stream on this replica",
            "does anybody look?",
            Question.TRAFFIC,
        )
        self._dropped = shelf.counter(
            "lanjie_stream_readers_dropped_total",
            "Screens let go, by reason: stuck, behind (both too slow), access (may see it no longer), database",
            "why do screens go dark?",
            Question.STUCK,
            reason=one_of(("stuck", "behind", "access", "database")),
        )

    def _add_door(self) -> None:
        self.refused = self.shelf.counter(
            "lanjie_requests_refused_total",
            "Requests refused, by status",
            "who sends what we cannot take?",
            Question.TRAFFIC,
            status=STATUSES,
        )

    def count_dropped(self, reason: str) -> None:
        """Count a screen that the alert stream let go."""
        self._dropped.labels(reason).inc()

    def count_closed(self, unit: str, finding: str, reports: Sequence[tuple[str, str]]) -> None:
        """Count a case that was closed, and its reports, each by bank and unit, where they were unfounded."""
        self.closed.labels(unit, finding).inc()
        if finding == Finding.UNFOUNDED:
            for bank, reporting in reports:
                self._unfounded.labels(bank, reporting).inc()

    def count_acknowledgement(self, unit: str, seconds: float, *, in_time: bool) -> None:
        """Count a case taken on, by whichever way: how long after its alert, and whether in time."""
        self.acknowledgements.labels(unit, str(in_time).lower()).inc()
        self.acknowledged.labels(unit).observe(seconds)
        self.stage.labels("alert_to_acknowledged").observe(seconds)

    def observe(self, stage: str, seconds: float | None) -> None:
        """Note how long a stage took, where that is known. Another's clock may be behind ours."""
        if seconds is not None:
            self.stage.labels(stage).observe(max(0.0, seconds))

    async def refresh_all(self, runtime: Runtime) -> None:
        """Read every gauge anew. The money comes from the ledger, so that no restart and no retry shows in it."""
        await self.refresh(runtime)
        try:
            await self.tables.refresh(runtime.pool)
        except TRANSIENT:
            self.database_up.set(0)
