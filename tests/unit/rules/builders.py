"""Facts to judge, without a database."""

from dataclasses import replace
from typing import Any

from services.rules import builtin
from services.rules.features import Branch, Facts, Payee, Payer
from services.rules.pack import Rule, evaluate
from services.rules.verdict import Verdict, decide
from shared.events import AccountType, Channel
from tests.service.rules.builders import NOW

PLAIN = Facts(
    amount_fen=300_000,
    channel=Channel.COUNTER_TRANSFER,
    payee_account_type=AccountType.PERSONAL,
    payer_age=40,
    cues=frozenset(),
    flags=frozenset(),
    filed_at=NOW,
    text="生活费给女儿打生活费，每个月都转",
    payee=Payee(),
    payer=Payer(),
    branch=Branch(),
)
"""A plain honest report: a mother sends her daughter money, as every month."""

RULES = {rule.id: rule for rule in builtin.RULES}


def facts_with(*cues: str, **changes: Any) -> Facts:  # noqa: ANN401
    """The plain report, changed."""
    return replace(PLAIN, cues=frozenset(cues), **changes)


def why(rule: Rule, facts: Facts) -> str | None:
    """Why a rule speaks, or nothing."""
    return rule.when(facts)


def judged(facts: Facts) -> Verdict:
    """What the pack in force makes of the facts."""
    return decide(evaluate(facts, builtin.RULES))
