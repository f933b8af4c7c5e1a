"""Rate, errors and duration of every hop, from the bank's request to the officer's screen and back; for ops."""

from functools import partial
from typing import Final

from deploy.grafana import errors
from deploy.grafana.asking import BANK, UNIT, or_none, rate, shown, slowest, slowest_of_all
from deploy.grafana.board import Colour, Panel, Query, Row, Unit, alarm, bars, number

narrow = partial(number, width=3)
watched = partial(alarm, width=3)

WHOLE: Final = (
    narrow(
        "Processes up",
        "Does every replica answer Prometheus? Fewer than were deployed: read the log of the one that is gone; the "
        "others go on with its work.",
        Unit.COUNT,
        (Query('sum(up{job=~"intake|rules|notifier"})'),),
        see="runbooks.md#lanjieservicedown",
    ),
    watched(
        "Alerts firing",
        "How many alerts does Prometheus raise just now? Open Alertmanager, or its page /alerts, and follow each one's "
        "runbook.",
        Unit.COUNT,
        (Query(or_none('count(ALERTS{alertstate="firing", severity=~"page|ticket"})')),),
        see="runbooks.md#first-look",
    ),
    watched(
        "Gaps",
        "Does a service lack what another one has? The reconciler mends it; what stays for 10 minutes needs a person.",
        Unit.COUNT,
        (Query(f"sum({shown('lanjie_reconciliation_gaps', 'between, of')})"),),
        see="runbooks.md#lanjiereconciliationgaps",
    ),
    watched(
        "Dead letters",
        "Does anything lie aside because it could not be read or handled? `lanjie dead list` says what.",
        Unit.COUNT,
        (Query(f"sum({shown('lanjie_dead_letters_parked', 'job, reason_class')})"),),
        see="runbooks.md#lanjiedeadletters",
    ),
    watched(
        "Deadlines not followed up",
        "Did the clock forget somebody? Anything but 0: no notifier, no database, or a transaction that holds a case.",
        Unit.COUNT,
        (Query(f"sum({shown('lanjie_deadlines_overdue', 'kind, unit')})"),),
        see="runbooks.md#lanjiedeadlinesoverdue",
    ),
    watched(
        "Ledger differences",
        "Does the money add up? Correct nothing by hand: keep what `lanjie ledger verify` says; look for the cause.",
        Unit.COUNT,
        (Query(shown("lanjie_ledger_differences")),),
        see="runbooks.md#lanjieledgerdiffers",
    ),
    narrow(
        "Oldest unsent event",
        "Does Kafka take what we have to say? Above 60 s it is away, or refuses: see 'Publishing has failed for'.",
        Unit.SECONDS,
        (Query(f"max({shown('lanjie_outbox_oldest_seconds', 'job')})"),),
        quiet=True,
        base=Colour.GOOD,
        steps=((10, Colour.LATE), (60, Colour.BAD)),
        see="runbooks.md#lanjieoutboxold",
    ),
    narrow(
        "Report to alert (99 %)",
        "Do officers hear of a report while the customer is still at the counter? Above 5 s: see which hop below took "
        "it.",
        Unit.SECONDS,
        (Query(slowest_of_all(0.99, "lanjie_stage_seconds", where='stage="accepted_to_alert"')),),
        base=Colour.GOOD,
        steps=((1, Colour.LATE), (5, Colour.BAD)),
        see="runbooks.md#lanjiealertsslow",
    ),
)

RATE: Final = (
    Panel(
        "Reports accepted, by bank",
        "How much do banks report? A bank that falls silent at its usual hour: call it, its connection may be down.",
        Unit.PER_SECOND,
        (Query(rate("lanjie_reports_accepted_total", "bank", BANK), "{{bank}}"),),
        see="runbooks.md#lanjiebanksilent",
    ),
    Panel(
        "The hops side by side",
        "Does every hop keep pace with the one before? Where a line leaves the others, the hop after it is the slow "
        "one: see its lag. All banks, all units.",
        Unit.PER_SECOND,
        (
            Query(rate("lanjie_reports_accepted_total"), "intake: accepted"),
            Query(rate("lanjie_verdicts_total"), "rules: judged"),
            Query(rate("lanjie_reports_counted_total"), "notifier: counted"),
            Query(rate("lanjie_case_reports_total"), "notifier: alerts"),
            Query(rate("lanjie_acknowledgements_total"), "officers: taken on"),
            Query(rate("lanjie_orders_total"), "officers: orders"),
            Query(rate("lanjie_feedback_total"), "banks: feedback"),
        ),
        see="runbooks.md#lanjiereportsnotjudged",
    ),
    Panel(
        "Records handled, by service",
        "How busy are the consumers? All at once to 0 with a lag that grows: see the consumers' state.",
        Unit.PER_SECOND,
        (
            Query(rate("lanjie_consumer_records_handled_total", "job"), "{{job}}"),
            Query(rate("lanjie_consumer_records_express_total", "job"), "{{job}}: ahead of a backlog"),
        ),
        see="decisions/0031-the-express-lane.md",
    ),
    bars(
        "Since each bank's last report",
        "Which bank has gone silent? One that reports every few minutes by day and has not for an hour: call its head "
        "office; its branches may be filing into nothing.",
        Unit.SECONDS,
        (Query(f"sort_desc(time() - {shown('lanjie_bank_last_report_timestamp_seconds', 'bank', BANK)})", "{{bank}}"),),
        see="runbooks.md#lanjiebanksilent",
        width=6,
    ),
    Panel(
        "Alerts, by unit",
        "Which units are being alerted? A unit at many times its usual rate: a wave, or a rule gone wild; see Rules.",
        Unit.PER_SECOND,
        (Query(rate("lanjie_case_reports_total", "unit", UNIT), "{{unit}}"),),
        width=6,
        see="judgement.md",
    ),
    Panel(
        "Dispositions and feedback",
        "Do banks tell us how it ended? Reports without dispositions: the branch system does not send them.",
        Unit.PER_SECOND,
        (
            Query(rate("lanjie_dispositions_total", "outcome", BANK), "disposition: {{outcome}}"),
            Query(rate("lanjie_feedback_total", "result", BANK), "feedback: {{result}}"),
        ),
        see="integration-banks.md",
        width=6,
    ),
    Panel(
        "Deliveries, by channel",
        "Do messages leave? A channel at 0 beside others that send: its provider, or its settings.",
        Unit.PER_SECOND,
        (Query(rate("lanjie_deliveries_total", "channel, outcome"), "{{channel}}: {{outcome}}"),),
        see="channels.md#what-becomes-of-a-try",
        width=6,
    ),
)


def _within(share: float, stage: str) -> str:
    return slowest(share, "lanjie_stage_seconds", where=f'stage="{stage}"')


def _durations(stages: tuple[str, ...]) -> tuple[Query, ...]:
    return tuple(Query(_within(share, stage), f"{stage} {share:.0%}") for stage in stages for share in (0.5, 0.99))


DURATION: Final = (
    Panel(
        "At the bank's door",
        "How long does a bank wait for its 202, and for the verdict? The door slow: the database. The verdict slow: "
        "rules.",
        Unit.SECONDS,
        _durations(("request_to_accepted", "accepted_to_verdict_shown")),
        see="performance.md#where-the-time-goes",
    ),
    Panel(
        "To the verdict",
        "How long from the 202 to the verdict? It grows with the lag of rules: add a replica.",
        Unit.SECONDS,
        tuple(
            Query(slowest(share, "lanjie_accepted_to_judged_seconds"), f"accepted_to_judged {share:.0%}")
            for share in (0.5, 0.99)
        ),
        see="scaling.md#processes",
    ),
    Panel(
        "To the officer's screen",
        "How long from the 202 to the alert, on to the screen, and to the webhook or mail? The first slow: notifier's "
        "lag. The last slow: a provider.",
        Unit.SECONDS,
        _durations(("accepted_to_alert", "alert_to_stream", "alert_to_delivered")),
        see="performance.md#where-the-time-goes",
    ),
    Panel(
        "People and banks",
        "How long do officers take to acknowledge and to order, and banks to answer? Not ours to mend: Interception "
        "names the unit and the bank.",
        Unit.SECONDS,
        _durations(("alert_to_acknowledged", "acknowledged_to_ordered", "order_to_feedback")),
        width=12,
        see="escalation.md#stages",
    ),
    Panel(
        "Judged again",
        "How soon do later facts reach bank and officer? Slow here and fast above: the express lane favours first "
        "verdicts. 0: nothing was judged again.",
        Unit.SECONDS,
        tuple(
            Query(or_none(f"{_within(0.99, stage)} >= 0"), f"{stage} 99%")
            for stage in ("rejudged_to_alert", "rejudged_to_verdict_shown")
        ),
        width=12,
        quiet=True,
        see="decisions/0015-judging-again.md",
    ),
)

ROWS: Final = (
    Row("Is the chain whole?", WHOLE),
    Row("Rate: what each hop does", RATE),
    errors.ROW,
    Row("Duration: where the time goes", DURATION),
)
