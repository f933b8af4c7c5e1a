"""The rules that orders and work on cases must not break: the sentence that refuses, where it comes from. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from shared.errors import Refusal


class Rule(StrEnum):
    """The names of the rules, as refusals carry them."""

    TWICE = "stopped-twice"
    CASE_IS_OPEN = "stop-needs-an-open-case"
    EXTEND_A_RUNNING_STOP = "extend-before-expiry"
    RELEASE_WHAT_IS_HELD = "nothing-is-held"
    FREEZE_BEFORE_EXPIRY = "freeze-before-expiry"
    FROZEN_ALREADY = "frozen-already"
    UNFREEZE_INSTEAD = "unfreeze-instead"
    RENEW_BEFORE_EXPIRY = "renew-before-expiry"
    UNFREEZE_WHAT_IS_FROZEN = "nothing-is-frozen"
    RETURN_WHAT_IS_FROZEN = "return-what-is-frozen"
    RETURN_AFTER_CONFIRMED = "return-after-confirmed"
    RETURN_TO_ONE = "return-to-one-customer"
    UNFOUNDED_HOLDS_NOTHING = "unfounded-holds-nothing"
    HELD_BY_ANOTHER_CASE = "held-by-another-case"
    ONE_AT_A_TIME = "one-at-a-time"
    BEING_RELEASED = "being-released"
    TERM = "freeze-term"
    NOTICE = "freeze-notice"
    BACKFILL_IN_TIME = "backfill-within-24-hours"
    CORRECT_WHAT_FAILED = "correct-what-failed"
    CORRECT_THE_MISMATCH = "correct-the-mismatch"
    CORRECTED_ALREADY = "corrected-already"
    SOMETHING_TO_STOP = "nothing-to-stop"
    BANK_IS_CONNECTED = "bank-not-connected"
    APPROVE_WHAT_IS_PROPOSED = "approve-what-is-proposed"
    OWN_APPROVAL = "own-approval"
    APPROVAL_LEVEL = "approval-level"
    ANSWERED_FIRST = "orders-answered-first"
    ONE_FINDING = "one-finding-a-case"
    CLOSED = "case-is-closed"
    ONE_OPEN = "one-open-case-an-account"
    REJECTED_BY = "objection-rejected-by-approver"
    ANSWERED_ONCE = "objection-answered-once"


@dataclass(frozen=True, slots=True)
class Law:
    """What a rule says to who would break it, its source, and the status of the refusal."""

    says: str
    source: str
    status: HTTPStatus = HTTPStatus.CONFLICT


MECHANISM: Final = "银发〔2016〕86号"
LAW: Final = "反电信网络诈骗法 art. 20"
PROCEDURE: Final = "公安机关办理刑事案件程序规定"
OURS: Final = "lanjie"

LAWS: Final[dict[Rule, Law]] = {
    Rule.TWICE: Law(
        "This account has been stopped twice, extensions included; the law allows no third stop "
        "(银发〔2016〕86号). Decide on a freeze while the stop runs.",
        MECHANISM,
    ),
    Rule.CASE_IS_OPEN: Law("The case is closed; a stop needs an open case. Reopen it first.", OURS),
    Rule.EXTEND_A_RUNNING_STOP: Law(
        "No stop of this account runs, so there is nothing to extend; order a stop.", MECHANISM
    ),
    Rule.RELEASE_WHAT_IS_HELD: Law("Nothing is held in this case, so there is nothing to release.", LAW),
    Rule.FREEZE_BEFORE_EXPIRY: Law(
        "No stop of this account runs: a freeze must be ordered before the 48 hours are over, when the stop is "
        "released by itself (银发〔2016〕86号). Order a stop first.",
        MECHANISM,
    ),
    Rule.FROZEN_ALREADY: Law("The account is frozen already; renew the freeze before it runs out.", PROCEDURE),
    Rule.UNFREEZE_INSTEAD: Law("The account is frozen; order its unfreezing instead.", LAW),
    Rule.RENEW_BEFORE_EXPIRY: Law(
        "No freeze of this account runs: it is renewed before it runs out, or counts as released.", PROCEDURE
    ),
    Rule.UNFREEZE_WHAT_IS_FROZEN: Law("Nothing is frozen in this case, so there is nothing to unfreeze.", LAW),
    Rule.RETURN_WHAT_IS_FROZEN: Law(
        "More than what is frozen and not returned yet cannot be returned; name a smaller amount.", PROCEDURE
    ),
    Rule.RETURN_AFTER_CONFIRMED: Law(
        "Money is returned once the case is closed as confirmed; close it first.", PROCEDURE
    ),
    Rule.RETURN_TO_ONE: Law(
        "Several customers paid into this account; name in 'report_id' whose money is returned, and how much.",
        PROCEDURE,
        HTTPStatus(422),
    ),
    Rule.UNFOUNDED_HOLDS_NOTHING: Law(
        "The case was found unfounded, so nothing may be frozen in it; reopen it first.", LAW
    ),
    Rule.HELD_BY_ANOTHER_CASE: Law("Another case holds this account; give the order in that case.", OURS),
    Rule.ONE_AT_A_TIME: Law(
        "An order of this kind on this account is waiting for an answer; wait for it, or have it turned down.", OURS
    ),
    Rule.BEING_RELEASED: Law("A release of this account is waiting for the bank's answer; wait for it.", OURS),
    Rule.TERM: Law(
        "A freeze lasts at most 6 months, in a major or complex case 12; shorten the term, or say that it is major.",
        PROCEDURE,
        HTTPStatus(422),
    ),
    Rule.NOTICE: Law(
        "A freeze needs the number of its notice 冻结通知书; give notice_number.", PROCEDURE, HTTPStatus(422)
    ),
    Rule.BACKFILL_IN_TIME: Law(
        "The bank stopped more than 24 hours ago; paperwork can no longer follow. Order a stop of its own.", MECHANISM
    ),
    Rule.CORRECT_WHAT_FAILED: Law(
        "Only an order of the same kind and case that the bank could not execute can be corrected.", OURS
    ),
    Rule.CORRECT_THE_MISMATCH: Law(
        "The bank found that facts of the last order do not match, and must not stop on them (银发〔2016〕86号); "
        "name that order in 'corrects' and correct each fact that did not match.",
        MECHANISM,
    ),
    Rule.CORRECTED_ALREADY: Law("That order is corrected by another one; wait for its answer, or correct that.", OURS),
    Rule.SOMETHING_TO_STOP: Law(
        "All money of this case was averted at the counter, so there is nothing to stop.", OURS
    ),
    Rule.BANK_IS_CONNECTED: Law(
        "The bank of this account is not connected here, so nobody could execute this order; call that bank.", OURS
    ),
    Rule.APPROVE_WHAT_IS_PROPOSED: Law("The order is not waiting for approval any more; nothing was changed.", OURS),
    Rule.OWN_APPROVAL: Law(
        "Who gave an order cannot approve it; ask a second officer.", PROCEDURE, HTTPStatus.FORBIDDEN
    ),
    Rule.APPROVAL_LEVEL: Law(
        "This order needs an approver or supervisor of a higher unit: a freeze and a return the county level "
        "(sub-bureau), a freeze over 6 months the city.",
        PROCEDURE,
        HTTPStatus.FORBIDDEN,
    ),
    Rule.ANSWERED_FIRST: Law(
        "An order of this case is waiting for the bank's answer or a second officer's approval; close the case after "
        "it.",
        OURS,
    ),
    Rule.ONE_FINDING: Law("The case is closed with another finding; reopen it to correct that.", OURS),
    Rule.CLOSED: Law("The case is closed, so it stays as it is; reopen it first.", OURS),
    Rule.ONE_OPEN: Law("Another case on this account is open; work on that one, and link the two.", OURS),
    Rule.REJECTED_BY: Law("An objection is rejected by an approver or a supervisor.", OURS, HTTPStatus.FORBIDDEN),
    Rule.ANSWERED_ONCE: Law("The objection has been answered otherwise.", OURS),
}
"""OURS marks what no law says and the product needs."""


def broken(rule: Rule, *, existing_id: str | None = None, says: str | None = None) -> Refusal:
    """Return the refusal of a step that would break a rule; it names the rule. `says` puts it more exactly."""
    law = LAWS[rule]
    named = {"existing_id": existing_id, "rule": rule.value}
    return Refusal(law.status, says or law.says, extensions={key: value for key, value in named.items() if value})
