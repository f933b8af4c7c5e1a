"""Every metric of intake, and the question it answers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.observe import STAGE_BUCKETS, RuntimeMetrics


class Metrics(RuntimeMetrics):
    """Bank labels are codes from the reference data, so their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self.accepted = Counter(
            "lanjie_reports_accepted_total",
            "Reports stored: how much do banks report?",
            ["bank"],
            registry=self.registry,
        )
        self.repeated = Counter(
            "lanjie_reports_repeated_total",
            "Posts that repeated a stored report: do banks' connections suffer?",
            ["bank"],
            registry=self.registry,
        )
        self.refused = Counter(
            "lanjie_requests_refused_total",
            "Requests refused, by status: who sends what we cannot take?",
            ["status"],
            registry=self.registry,
        )
        self.dispositions = Counter(
            "lanjie_dispositions_total",
            "Dispositions recorded, by outcome: does the counter heed the advice?",
            ["bank", "outcome"],
            registry=self.registry,
        )
        self.feedback = Counter(
            "lanjie_feedback_total",
            "Feedback stored, by result: do banks execute?",
            ["bank", "result"],
            registry=self.registry,
        )
        self.overstated = Counter(
            "lanjie_feedback_overstated_total",
            "Feedback refused because it claims more than was ordered: an operator should call the bank",
            ["bank"],
            registry=self.registry,
        )
        self.contradictions = Counter(
            "lanjie_feedback_contradictions_total",
            "Feedback that contradicts an earlier one: a person must look",
            ["bank"],
            registry=self.registry,
        )
        self.unanswered = Gauge(
            "lanjie_unanswered",
            "Reports and answers of banks whose own answers are not back, up to MOST_UNANSWERED: is the door closing?",
            registry=self.registry,
        )
        self.stage = Histogram(
            "lanjie_stage_seconds",
            "How long a stage of the chain took: where does the time go?",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.request_to_accepted = self.stage.labels("request_to_accepted")
        self.accepted_to_verdict_shown = self.stage.labels("accepted_to_verdict_shown")
        self.rejudged_to_verdict_shown = self.stage.labels("rejudged_to_verdict_shown")
