"""Every metric of notifier, and the question it answers."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import Channel
from services.notifier.clock import clock_store
from services.notifier.duty import duty_store
from services.notifier.money import money_store
from shared.events import Finding
from shared.observe import STAGE_BUCKETS, Runtime, RuntimeMetrics
from shared.postgres import TRANSIENT, Pool

FEN_PER_YUAN = 100
LATENESS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
OVERDUE_SECONDS = 5.0
"""What is that late was not held up by somebody at work on the case."""


class Metrics(RuntimeMetrics):
    """Bank and unit labels are codes from the reference data, so their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self.money = Gauge(
            "lanjie_money_yuan",
            "What the ledger holds, in yuan: how much was reported, averted, stopped, lost? The same on all replicas.",
            ["kind", "bank", "unit"],
            registry=self.registry,
        )
        self.reports = Counter(
            "lanjie_reports_counted_total", "Judged reports taken in, by level", ["level"], registry=self.registry
        )
        self.cases = Counter(
            "lanjie_case_reports_total",
            "Alert-level reports, by unit and by whether they opened a case or joined one",
            ["unit", "how"],
            registry=self.registry,
        )
        self.rejudged = Counter(
            "lanjie_case_reports_rejudged_total",
            "Those of them that were judged again to become alerts: what do later facts bring up?",
            ["unit", "how"],
            registry=self.registry,
        )
        self.acknowledgements = Counter(
            "lanjie_acknowledgements_total",
            "Cases taken on: who is in time?",
            ["unit", "in_time"],
            registry=self.registry,
        )
        self.orders = Counter(
            "lanjie_orders_total", "Orders given, by kind and bank", ["kind", "bank"], registry=self.registry
        )
        self.answers = Counter(
            "lanjie_order_answers_total",
            "Orders answered by the bank: executed or failed?",
            ["kind", "bank", "status"],
            registry=self.registry,
        )
        self.closed = Counter(
            "lanjie_cases_closed_total",
            "Cases closed, by finding: do the rules judge well?",
            ["unit", "finding"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "lanjie_deliveries_total",
            "Tries to deliver a message, by the kind of its target's owner (unit, officer, bank), by outcome "
            "(delivered, retry, dead) and why not: which channel does not get through?",
            ["channel", "owner", "outcome", "reason"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "lanjie_deliveries_waiting", "Messages not yet delivered to their targets", registry=self.registry
        )
        self.refused = Counter(
            "lanjie_requests_refused_total",
            "Requests refused, by status: who sends what we cannot take?",
            ["status"],
            registry=self.registry,
        )
        self.stage = Histogram(
            "lanjie_stage_seconds",
            "How long a stage of the chain took: where does the golden time go?",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self._add_clock()
        self._add_stream()
        self._add_duty()
        self._add_casework()
        self._add_channels()
        self._add_orders()

    def _add_orders(self) -> None:
        self.approvals = Counter(
            "lanjie_order_approvals_total",
            "Proposed orders that a second officer approved or turned down",
            ["kind", "decision"],
            registry=self.registry,
        )
        self.unlawful = Counter(
            "lanjie_steps_refused_total",
            "Steps refused because they would break a rule, by its name: what do officers not know of the law?",
            ["rule"],
            registry=self.registry,
        )

    def _add_stream(self) -> None:
        self.readers = Gauge(
            "lanjie_stream_readers", "Screens that follow the alert stream here", registry=self.registry
        )
        self._dropped = Counter(
            "lanjie_stream_readers_dropped_total",
            "Screens let go, by reason: stuck, behind (both too slow), access (may see it no longer), database",
            ["reason"],
            registry=self.registry,
        )

    def count_dropped(self, reason: str) -> None:
        """Count a screen that the alert stream let go."""
        self._dropped.labels(reason).inc()

    def _add_duty(self) -> None:
        self.unattended = Gauge(
            "lanjie_units_unattended",
            "Units with a roster this week and nobody on duty now: whom do alerts reach only in the second place?",
            registry=self.registry,
        )
        self.links = Counter(
            "lanjie_links_total",
            "One-time links opened, by what came of it: shown, done (acknowledged), used, taken, closed, refused",
            ["outcome"],
            registry=self.registry,
        )

    def _add_channels(self) -> None:
        self.resting = Gauge(
            "lanjie_targets_resting",
            "Targets that failed so often that they are left alone for a while, by channel: who cannot be reached?",
            ["channel"],
            registry=self.registry,
        )

    def _add_casework(self) -> None:
        self._unfounded = Counter(
            "lanjie_reports_unfounded_total",
            "Reports in cases closed as unfounded: who holds customers up for nothing? Reopening takes none back",
            ["bank", "unit"],
            registry=self.registry,
        )

    def count_closed(self, unit: str, finding: str, reports: Sequence[tuple[str, str]]) -> None:
        """Count a case that was closed, and its reports, each by bank and unit, where they were unfounded."""
        self.closed.labels(unit, finding).inc()
        if finding == Finding.UNFOUNDED:
            for bank, reporting in reports:
                self._unfounded.labels(bank, reporting).inc()

    def count_acknowledgement(self, unit: str, seconds: float, *, in_time: bool) -> None:
        """Count a case taken on, by whichever way: how long after its alert, and whether in time."""
        self.acknowledgements.labels(unit, str(in_time).lower()).inc()
        self.stage.labels("alert_to_acknowledged").observe(seconds)

    def _add_clock(self) -> None:
        self.lateness = Histogram(
            "lanjie_deadline_lateness_seconds",
            "How long after its time a deadline was followed up, by the database's clock: does the watch keep up?",
            ["stage"],
            buckets=LATENESS_BUCKETS,
            registry=self.registry,
        )
        self.escalations = Counter(
            "lanjie_escalations_total",
            "Deadlines that came and were followed up, by the unit in charge: who is late, and how far up did it go? "
            "step counts from 0; of a warning it is the hours left.",
            ["stage", "step", "unit"],
            registry=self.registry,
        )
        self.overdue = Gauge(
            "lanjie_deadlines_overdue",
            f"Deadlines not followed up {OVERDUE_SECONDS:.0f} s after their time: anything but 0 is a fault of ours",
            registry=self.registry,
        )
        self.deadlines_failed = Counter(
            "lanjie_deadlines_failed_total",
            "Cases whose deadlines could not be followed up and were set aside for a while; see the log",
            registry=self.registry,
        )

    async def refresh_all(self, runtime: Runtime) -> None:
        """Read every gauge anew. The money comes from the ledger, so that no restart and no retry shows in it."""
        await self.refresh(runtime)
        await self._refresh_money(runtime.pool)

    async def _refresh_money(self, pool: Pool) -> None:
        try:
            for row in await money_store.totals(pool):
                self.money.labels(row["kind"], row["bank"], row["unit"]).set(row["fen"] / FEN_PER_YUAN)
            self.overdue.set(await clock_store.overdue(pool, OVERDUE_SECONDS))
            self.waiting.set(await delivery_store.waiting_deliveries(pool))
            resting = await delivery_store.resting_targets(pool)
            for channel in Channel:
                self.resting.labels(channel.value).set(resting.get(channel.value, 0))
            self.unattended.set(await duty_store.unattended(pool))
        except TRANSIENT:
            self.database_up.set(0)
