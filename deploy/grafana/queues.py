"""What waits, and whether it gets on: lag, outbox, answers, messages, what services lack of each other; for ops."""

from functools import partial
from typing import Final

from deploy.grafana.asking import or_none, or_none_of, shown, slowest
from deploy.grafana.board import Panel, Query, Row, Unit

waits = partial(Panel, quiet=True, width=6, height=6)
"""Lines that are near 0 as long as all gets on."""

RESTING: Final = "lanjie_targets_resting"
LETTERS: Final = "lanjie_dead_letters_parked"

KAFKA: Final = (
    waits(
        "Consumer lag",
        "How many records are not handled yet? A hump is a burst. It grows and grows: add a replica, up to a partition "
        "each; it stands still: see the consumer's state.",
        Unit.COUNT,
        (Query("sum by (job) (lanjie_consumer_lag_records)", "{{job}}"),),
        see="runbooks.md#lanjieconsumerlagging",
    ),
    waits(
        "Consumers stuck",
        "How long have records waited without one being handled? Above 60 s the watchdog lets the process start anew; "
        "again and again: the database, or a record that never ends.",
        Unit.SECONDS,
        (Query("max by (job) (lanjie_consumer_stuck_seconds)", "{{job}}"),),
        see="runbooks.md#lanjieconsumerstuck",
    ),
    waits(
        "Consumers not at work",
        "Which consumers are neither at work nor standing by? `joining` for a moment at a rebalance; `unreachable`: "
        "Kafka; `halted`: too much could not be handled, mend and restart.",
        Unit.COUNT,
        (Query('sum by (job, state) (lanjie_consumer_state{state!~"ok|standby"})', "{{job}} {{state}}"),),
        see="runbooks.md#lanjieconsumerhalted",
    ),
    waits(
        "Publishing has failed for",
        "Since when has no event got out? Kafka is away or refuses: reports are still taken, and sent when it is back.",
        Unit.SECONDS,
        (Query("max by (job) (lanjie_producer_failing_seconds)", "{{job}}"),),
        see="runbooks.md#lanjieproducerfailing",
    ),
)

ANSWERS: Final = (
    waits(
        "Oldest unsent event, by service",
        "How old is the oldest event the broker has not taken? More than a minute: Kafka is away, or refuses.",
        Unit.SECONDS,
        (Query(shown("lanjie_outbox_oldest_seconds", "job"), "{{job}}"),),
        see="runbooks.md#lanjieoutboxold",
    ),
    waits(
        "Events whose answer is not back",
        "How many obligations are open? Orders wait for banks and are counted too; a slope that never falls: see who "
        "does not answer, below.",
        Unit.COUNT,
        (Query(shown("lanjie_outbox_awaiting_answer", "job"), "{{job}}"),),
        see="decisions/0002-obligations-end-with-their-answer.md",
    ),
    waits(
        "Unanswered at the banks' door",
        "How many reports and answers of banks wait for the rest of the chain? Near MOST_UNANSWERED the door closes "
        "with 503.",
        Unit.COUNT,
        (Query(shown("lanjie_unanswered"), "unanswered"),),
        see="runbooks.md#lanjiedoorclosing",
    ),
    waits(
        "Messages not delivered yet",
        "What has not reached its target? It grows while no target rests: the provider's pace is too slow for what we "
        "send.",
        Unit.COUNT,
        (
            Query(shown("lanjie_deliveries_waiting"), "waiting"),
            Query(or_none_of(RESTING, f"{shown(RESTING, 'channel')} > 0"), "targets resting {{channel}}"),
        ),
        see="runbooks.md#lanjiedeliverieswaiting",
    ),
)

WHOLE: Final = (
    waits(
        "Gaps between services",
        "What does a service lack that another one has? Above 0 after a restore or in a backlog; for longer than 10 "
        "minutes: `gaps_stay` in the log names the windows.",
        Unit.COUNT,
        (Query(shown("lanjie_reconciliation_gaps", "between, of"), "{{between}} {{of}}"),),
        see="runbooks.md#lanjiereconciliationgaps",
    ),
    waits(
        "Since the last comparison",
        "Is anybody comparing? Above 300 s on all replicas: Kafka is away, or the other service says nothing.",
        Unit.SECONDS,
        (Query("min by (between) (lanjie_reconciliation_last_success_seconds)", "{{between}}"),),
        see="runbooks.md#lanjiereconcilersilent",
    ),
    waits(
        "Dead letters, by reason",
        "Why does what lies aside lie there? `unknown_type`, `unknown_version`: a producer is newer. `handler_failed`: "
        "a defect, or a missing key.",
        Unit.COUNT,
        (Query(or_none_of(LETTERS, f"{shown(LETTERS, 'job, reason_class')} > 0"), "{{job}} {{reason_class}}"),),
        see="runbooks.md#lanjiedeadletters",
    ),
    waits(
        "How late deadlines are followed up",
        "Does the clock keep up? 99 of 100 within this time after their due time; above 5 s: the database, or too many "
        "at once.",
        Unit.SECONDS,
        (Query(or_none(slowest(0.99, "lanjie_deadline_lateness_seconds", "stage")), "{{stage}}"),),
        see="runbooks.md#lanjiedeadlinesoverdue",
    ),
)

ROWS: Final = (
    Row("Kafka: does it flow?", KAFKA),
    Row("Obligations: what waits for an answer?", ANSWERS),
    Row("Is anything lost or late?", WHOLE),
)
