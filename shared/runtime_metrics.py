"""The metrics that every service has, whatever it is for."""

import platform
from importlib.metadata import version

from shared.dead_letters import ReasonClass, parked_by_reason
from shared.metrics import Bound, Question, Shelf, one_of
from shared.observe import Runtime
from shared.outbox import oldest_unsent_seconds
from shared.postgres import TRANSIENT
from shared.progress import STATES


class RuntimeMetrics:
    """How a replica gets on: its consumer, its producer, its outbox, its database, its process."""

    def __init__(self, service: str) -> None:
        self.shelf = shelf = Shelf(service)
        self.registry = shelf.registry
        self._add_consumer(shelf)
        self._add_outbox(shelf)
        build = shelf.gauge(
            "lanjie_build_info",
            "Which software this replica is",
            "do all replicas run the same?",
            Question.PROCESS,
            service=one_of(("intake", "rules", "notifier")),
            version=Bound("the version of lanjie"),
            python=Bound("the version of Python"),
        )
        build.labels(service, version("lanjie"), platform.python_version()).set(1)
        shelf.process()

    def _add_consumer(self, shelf: Shelf) -> None:
        self.lag = shelf.gauge(
            "lanjie_consumer_lag_records",
            "Records on this replica's partitions that are not handled yet; add the replicas up",
            "does the service keep up?",
            Question.STUCK,
        )
        self.stuck = shelf.gauge(
            "lanjie_consumer_stuck_seconds",
            "How long records have waited without one being handled",
            "does it handle anything at all?",
            Question.STUCK,
        )
        self.handled = shelf.counter(
            "lanjie_consumer_records_handled_total", "Records handled", "how much is done?", Question.TRAFFIC
        )
        self.express = shelf.counter(
            "lanjie_consumer_records_express_total",
            "Of the records handled, those that went ahead of a backlog",
            "does the express lane work?",
            Question.TRAFFIC,
        )
        self.state = shelf.gauge(
            "lanjie_consumer_state",
            "1 for the state that the consumer is in, 0 for the others",
            "is it in its group, and at work?",
            Question.STUCK,
            state=one_of(STATES),
        )
        self.parked = shelf.counter(
            "lanjie_dead_letters_total",
            "Records put aside because they cannot be read or handled",
            "is anything being put aside just now?",
            Question.STUCK,
        )
        self.letters = shelf.gauge(
            "lanjie_dead_letters_parked",
            "Dead letters that wait for somebody, by why they were put aside; the same on all replicas",
            "what must be mended and replayed?",
            Question.STUCK,
            reason_class=one_of(ReasonClass),
        )

    def _add_outbox(self, shelf: Shelf) -> None:
        self.failing = shelf.gauge(
            "lanjie_producer_failing_seconds",
            "How long every attempt to publish has failed",
            "can it reach Kafka?",
            Question.STUCK,
        )
        self.unsent = shelf.gauge(
            "lanjie_outbox_oldest_seconds",
            "Age of the oldest event that the broker has not acknowledged; the same on all replicas",
            "does Kafka take what we say?",
            Question.STUCK,
        )
        self.awaiting = shelf.gauge(
            "lanjie_outbox_awaiting_answer",
            "Events whose answer is not back; the same on all replicas",
            "how much does the rest of the chain owe us?",
            Question.STUCK,
        )
        self.database_up = shelf.gauge(
            "lanjie_database_up",
            "1 when the last query for these metrics went through",
            "does PostgreSQL answer?",
            Question.STUCK,
        )
        self._handled = self._express = 0

    async def refresh(self, runtime: Runtime) -> None:
        """Read the gauges anew."""
        progress = runtime.consumer.progress
        self.lag.set(progress.lag)
        self.stuck.set(progress.stuck_seconds())
        self.handled.inc(max(0, progress.handled - self._handled))
        self.express.inc(max(0, progress.ahead - self._express))
        self._handled, self._express = progress.handled, progress.ahead
        for state in STATES:
            self.state.labels(state).set(state == progress.state())
        self.failing.set(runtime.publisher.failing_seconds())
        self.database_up.set(0)  # until it has answered, which it may never do
        try:
            self.unsent.set(await oldest_unsent_seconds(runtime.pool))
            self.awaiting.set(await runtime.pool.fetchval("select count(*) from outbox where awaits_answer"))
            for reason_class, letters in (await parked_by_reason(runtime.pool)).items():
                self.letters.labels(reason_class.value).set(letters)
            self.database_up.set(1)
        except TRANSIENT:
            pass
