"""What goes wrong on the way, hop by hop; for ops."""

from functools import partial
from typing import Final

from deploy.grafana.asking import BANK, STEP, grown, or_none
from deploy.grafana.board import Panel, Query, Row, Unit

errors = partial(Panel, unit=Unit.COUNT, quiet=True, width=6, height=6)
"""Lines that stay at 0 as long as all is well."""


def _since_last(metric: str, by: str = "", where: str = "") -> str:
    """Return how many errors each point of a line stands for. A rate would not see the first of its kind."""
    return grown(metric, by, where, STEP)


ERRORS: Final = (
    errors(
        "Requests refused",
        "Who sends what we cannot take? 401: a revoked or wrong key. 422: a client's defect. 429, 503: the door "
        "closes; see 'Unanswered'.",
        queries=(Query(or_none(_since_last("lanjie_requests_refused_total", "job, status")), "{{job}} {{status}}"),),
        quiet=False,  # there are some on any day
        see="runbooks.md#lanjiedoorfails",
    ),
    errors(
        "Reports sent again",
        "Do banks' connections suffer? Repeats are harmless; many from one bank: its time-out is shorter than our "
        "answer.",
        queries=(Query(or_none(_since_last("lanjie_reports_repeated_total", "bank", BANK)), "{{bank}}"),),
        quiet=False,  # there are some on any day
        see="integration-banks.md",
    ),
    errors(
        "Records put aside",
        "Is anything unreadable coming in? A burst after an upgrade: a producer newer than its consumer. Mend, replay.",
        queries=(Query(_since_last("lanjie_dead_letters_total", "job"), "{{job}}"),),
        see="runbooks.md#lanjiedeadlettersmany",
    ),
    errors(
        "Feedback that does not add up",
        "Which bank claims more than was ordered, or answers twice, differently? Call it: a person must look.",
        queries=(
            Query(or_none(_since_last("lanjie_feedback_overstated_total", "bank", BANK)), "{{bank}} overstated"),
            Query(or_none(_since_last("lanjie_feedback_contradictions_total", "bank", BANK)), "{{bank}} contradicts"),
        ),
        see="runbooks.md#lanjiefeedbackdisputed",
    ),
    errors(
        "Deliveries that failed",
        "Which channel does not get through, and why? `dead` is given up: the unit is reached by its other channels. "
        "`lanjie notifier target-test ID` says what the provider says.",
        queries=(
            Query(
                or_none(_since_last("lanjie_deliveries_total", "channel, outcome, reason", 'outcome!="delivered"')),
                "{{channel}} {{outcome}}: {{reason}}",
            ),
        ),
        see="channels.md#watching",
    ),
    errors(
        "Screens let go",
        "Do officers lose the alert stream? `stuck`, `behind`: their network is too slow. `database`: ours is away.",
        queries=(Query(or_none(_since_last("lanjie_stream_readers_dropped_total", "reason")), "{{reason}}"),),
        see="performance.md#many-screens-on-the-alert-stream",
    ),
    errors(
        "Cases the clock could not follow up",
        "Which deadlines meet a defect? `deadline_not_followed_up` in the log names the case; the others go on.",
        queries=(Query(_since_last("lanjie_deadlines_failed_total"), "failed"),),
        see="runbooks.md#lanjiedeadlinesfailing",
    ),
    errors(
        "Events repeated by the reconciler",
        "What is being lost on the way? A few after a restart are usual; a steady line: find who loses them.",
        queries=(
            Query(or_none(_since_last("lanjie_reconciliation_repeated_total", "between, of")), "{{between}} {{of}}"),
        ),
        see="runbooks.md#lanjiereconciliationgaps",
    ),
)

ROW: Final = Row("Errors: how many between one point of a line and the next", ERRORS)
