"""The metrics of notifier that are read from its tables: the same on all replicas, and none is lost by a restart."""

from math import nan

from services.notifier import figure_store
from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import Channel
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Stage
from services.notifier.duty import duty_store
from services.notifier.money import money_store
from services.notifier.money.ledger import Kind
from services.notifier.orders import order_store
from shared.metrics import (
    BANKS,
    BANKS_OR_NONE,
    SCAM_TYPES,
    UNITS,
    UNITS_OR_NONE,
    Question,
    Shelf,
    one_of,
    show,
)
from shared.postgres import Pool

FEN_PER_YUAN = 100
OVERDUE_SECONDS = 5.0
"""What is that late was not held up by somebody at work on the case."""

EXPIRING_SECONDS = 7200.0
PEOPLES = tuple(stage for stage in Stage if stage not in (Stage.WARNING, Stage.EXPIRY))
"""What people must do in time; at the other stages something happens by itself."""


class TableMetrics:
    """Gauges that are read at each scrape, by queries that read few rows however many there are.

    What takes longer is counted in the background (`figures`) and read here as it was counted last.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._add_money(shelf)
        self._add_ledger(shelf)
        self._add_late(shelf)
        self._add_deliveries(shelf)

    def _add_money(self, shelf: Shelf) -> None:
        self.money = shelf.gauge(
            "lanjie_money_yuan",
            "What the ledger holds since the beginning; the same on all replicas",
            "how much was reported, averted, stopped, frozen, released, returned, lost, by bank and unit?",
            Question.MONEY,
            kind=one_of(Kind),
            bank=BANKS,
            unit=UNITS,
        )
        self.by_type = shelf.gauge(
            "lanjie_money_by_type_yuan",
            "The same money by the scam type of its case, `none` for reports that are in no case; counted every "
            "15 seconds, more seldom where that takes long; the same on all replicas",
            "which scams take the most, and of which is the most saved?",
            Question.MONEY,
            kind=one_of(Kind),
            scam_type=SCAM_TYPES,
        )
        self.expiring = shelf.gauge(
            "lanjie_stop_orders_expiring",
            "Stops that run out within two hours, and no order waits that would extend, freeze or release them; the "
            "same on all replicas",
            "what money is about to be let go because nobody has decided?",
            Question.MONEY,
            bank=BANKS_OR_NONE,
        )

    def _add_ledger(self, shelf: Shelf) -> None:
        self.differences = shelf.gauge(
            "lanjie_ledger_differences",
            "Differences between the ledger and the events, among what changed since the check before and what "
            "differed then; NaN before the first check; the same on all replicas",
            "does the money add up?",
            Question.MONEY,
        )
        self.differences.set(nan)
        self.checked = shelf.gauge(
            "lanjie_ledger_checked_timestamp_seconds",
            "Up to when the ledger's entries were checked, every five minutes; 0 before the first check; the same on "
            "all replicas",
            "is the ledger being checked?",
            Question.MONEY,
        )

    def _add_late(self, shelf: Shelf) -> None:
        self.overdue = shelf.gauge(
            "lanjie_deadlines_overdue",
            f"Deadlines that our watch has not followed up {OVERDUE_SECONDS:.0f} s after their time; the same on all "
            "replicas",
            "does the clock stand still? Anything but 0 is a fault of ours",
            Question.STUCK,
            kind=one_of(Stage),
            unit=UNITS_OR_NONE,
        )
        self.missed = shelf.gauge(
            "lanjie_deadlines_missed",
            "Deadlines that were missed and whose work is not done yet, by the unit in charge; counted every 15 "
            "seconds, more seldom where that takes long; the same on all replicas",
            "who is late just now, and with what?",
            Question.LATE,
            kind=one_of(PEOPLES),
            unit=UNITS_OR_NONE,
        )
        self.unattended = shelf.gauge(
            "lanjie_units_unattended",
            "Units with a roster this week and nobody on duty now; the same on all replicas",
            "whom do alerts reach only in the second place?",
            Question.LATE,
        )

    def _add_deliveries(self, shelf: Shelf) -> None:
        self.waiting = shelf.gauge(
            "lanjie_deliveries_waiting",
            "Messages not yet delivered to their targets; the same on all replicas",
            "do messages get through?",
            Question.STUCK,
        )
        self.resting = shelf.gauge(
            "lanjie_targets_resting",
            "Targets that failed so often that they are left alone for a while, by channel; the same on all replicas",
            "who cannot be reached?",
            Question.STUCK,
            channel=one_of(Channel),
        )

    async def refresh(self, pool: Pool) -> None:
        """Read all anew. Raises `TRANSIENT` errors; then some are as they were."""
        for row in await money_store.totals(pool):
            self.money.labels(row["kind"], row["bank"], row["unit"]).set(row["fen"] / FEN_PER_YUAN)
        await self._refresh_late(pool)
        self.waiting.set(await delivery_store.waiting_deliveries(pool))
        resting = await delivery_store.resting_targets(pool)
        for channel in Channel:
            self.resting.labels(channel.value).set(resting.get(channel.value, 0))
        self._show_figures(await figure_store.all_figures(pool))

    async def _refresh_late(self, pool: Pool) -> None:
        overdue = await clock_store.overdue(pool, OVERDUE_SECONDS)
        show(self.overdue, overdue, [(stage.value, "") for stage in Stage])
        show(self.expiring, await order_store.expiring(pool, EXPIRING_SECONDS), [("",)])
        self.unattended.set(await duty_store.unattended(pool))

    def _show_figures(self, figures: figure_store.Figures) -> None:
        by_type = {labels: fen / FEN_PER_YUAN for labels, fen in figures.money_by_type.items()}
        show(self.by_type, by_type, [(kind.value, "none") for kind in Kind])
        show(self.missed, figures.missed, [(stage.value, "") for stage in PEOPLES])
        if figures.ledger_checked_at:
            self.differences.set(figures.ledger_differences)
            self.checked.set(figures.ledger_checked_at.timestamp())
