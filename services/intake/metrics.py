"""Every metric of intake, and the question it answers."""

from services.intake.reconciling import SHARE
from shared.events import DispositionOutcome, FeedbackResult
from shared.metrics import BANKS, STATUSES, Question, one_of
from shared.runtime_metrics import RuntimeMetrics
from shared.share import ReconcilingMetrics

STAGES = ("request_to_accepted", "accepted_to_verdict_shown", "rejudged_to_verdict_shown")


class Metrics(RuntimeMetrics):
    """Bank labels are codes from the reference data, so their number is bounded."""

    def __init__(self) -> None:
        super().__init__("intake")
        self.reconciling = ReconcilingMetrics(self.shelf, SHARE)
        self._add_reports()
        self._add_feedback()
        self.unanswered = self.shelf.gauge(
            "lanjie_unanswered",
            "Reports and answers of banks whose own answers are not back, up to MOST_UNANSWERED; the same on all "
            "replicas",
            "is the door closing?",
            Question.STUCK,
        )
        self.stage = self.shelf.histogram(
            "lanjie_stage_seconds",
            "How long a stage of the chain took",
            "where does the time go?",
            Question.TIME,
            stage=one_of(STAGES),
        )
        self.request_to_accepted = self.stage.labels("request_to_accepted")
        self.accepted_to_verdict_shown = self.stage.labels("accepted_to_verdict_shown")
        self.rejudged_to_verdict_shown = self.stage.labels("rejudged_to_verdict_shown")

    def _add_reports(self) -> None:
        shelf = self.shelf
        self.accepted = shelf.counter(
            "lanjie_reports_accepted_total", "Reports stored", "how much do banks report?", Question.TRAFFIC, bank=BANKS
        )
        self.repeated = shelf.counter(
            "lanjie_reports_repeated_total",
            "Posts that repeated a stored report",
            "do banks' connections suffer?",
            Question.TRAFFIC,
            bank=BANKS,
        )
        self.last_report = shelf.gauge(
            "lanjie_bank_last_report_timestamp_seconds",
            "When the bank's newest report was stored; the same on all replicas. None for a bank that never reported",
            "which bank has gone silent?",
            Question.LATE,
            bank=BANKS,
        )
        self.refused = shelf.counter(
            "lanjie_requests_refused_total",
            "Requests refused, by status",
            "who sends what we cannot take?",
            Question.TRAFFIC,
            status=STATUSES,
        )
        self.dispositions = shelf.counter(
            "lanjie_dispositions_total",
            "Dispositions recorded, by outcome",
            "how do visits at the counter end?",
            Question.TRAFFIC,
            bank=BANKS,
            outcome=one_of(DispositionOutcome),
        )

    def _add_feedback(self) -> None:
        shelf = self.shelf
        self.feedback = shelf.counter(
            "lanjie_feedback_total",
            "Feedback stored, by result",
            "do banks execute?",
            Question.TRAFFIC,
            bank=BANKS,
            result=one_of(FeedbackResult),
        )
        self.overstated = shelf.counter(
            "lanjie_feedback_overstated_total",
            "Feedback refused because it claims more than was ordered",
            "which bank should an operator call?",
            Question.MONEY,
            bank=BANKS,
        )
        self.contradictions = shelf.counter(
            "lanjie_feedback_contradictions_total",
            "Feedback that contradicts an earlier one",
            "which bank answers an order twice, differently? A person must look",
            Question.MONEY,
            bank=BANKS,
        )
