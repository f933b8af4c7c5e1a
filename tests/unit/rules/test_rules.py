"""Every rule of the pack: when it speaks, and that it is silent otherwise."""

import re

import pytest

from services.rules.features import Branch, Facts, Payee, Payer
from services.rules.pack import Rule, evaluate
from services.rules.verdict import ALERT_FROM, decide
from shared.events import AccountType, Channel, Level
from tests.unit.rules.builders import PLAIN, RULES, facts_with, judged, why

WAN = 1_000_000
CORPORATE = AccountType.CORPORATE

SPEAKS: dict[str, list[Facts]] = {
    "payee-watched": [facts_with(payee=Payee(watched=True))],
    "payee-alerted-before": [
        facts_with(payee=Payee(alerts_7d=1)),
        facts_with(payee=Payee(alerts_7d=2, other_branches_7d=1)),
    ],
    "payee-gathers": [facts_with(payee=Payee(payers_1d=2))],
    "payer-tries-again": [facts_with(payer=Payer(suspected_elsewhere_1d=1)), facts_with("refused_at_another_branch")],
    "cash-after-refusal": [facts_with("cash_after_refusal")],
    "loan-moves-on": [facts_with("new_loan_transferred")],
    "invests-with-a-person": [facts_with(text="投资款"), facts_with(text="跟投一个项目")],
    "splits-sum": [facts_with("splits_sum"), facts_with(payer=Payer(reports_1h=2))],
    "first-large-transfer": [facts_with("first_transfer_to_payee", amount_fen=5 * WAN)],
    "elderly-customer": [facts_with("elderly_unusual_amount"), facts_with(payer_age=60, amount_fen=5 * WAN)],
    "breaks-deposit": [facts_with("breaks_term_deposit")],
    "hurried": [facts_with("hurried_anxious")],
    "remote-payee": [facts_with("remote_payee")],
    "large-cash": [facts_with(channel=Channel.COUNTER_CASH, amount_fen=10 * WAN)],
    "branch-rush": [
        facts_with(branch=Branch(reports_1h=5, reports_7d=84)),
        facts_with(branch=Branch(reports_1h=9, reports_7d=252)),
    ],
    "own-account": [facts_with(flags=frozenset({"payer_is_payee"}))],
    "ordinary-purpose": [facts_with("first_transfer_to_payee", text="购房首付", payee_account_type=CORPORATE)],
    "safe-account": [facts_with(text="转到安全账户"), facts_with(text="资金核查"), facts_with("safe_account")],
    "officials-ordered": [
        facts_with(text="公安打电话说他涉案"),
        facts_with(text="法院说涉嫌洗钱"),
        facts_with("police_ordered"),
    ],
    "brushing-task": [facts_with(text="网上刷单"), facts_with(text="群里派单要先垫"), facts_with("brushing_task")],
    "fee-to-withdraw": [
        facts_with(text="要交解冻费"),
        facts_with(text="再充五千才能提现"),
        facts_with("pays_fee_to_withdraw"),
    ],
    "investment-platform": [
        facts_with(text="跟着老师炒股"),
        facts_with(text="在数字货币平台"),
        facts_with(text="稳赚"),
    ],
    "credit-record": [facts_with(text="要修复征信"), facts_with(text="注销校园贷")],
    "loan-fee": [facts_with(text="办贷款先交保证金"), facts_with(text="刷流水")],
    "customer-service": [
        facts_with(text="客服说给他退款"),
        facts_with(text="取消百万保障"),
        facts_with(text="快递丢了理赔"),
    ],
    "boss-by-message": [facts_with(text="老板在微信上叫付"), facts_with(text="qq群里老板叫付")],
    "acquaintance-by-message": [facts_with(text="老同学在微信上找他借钱")],
    "romance": [facts_with(text="网上认识的女朋友"), facts_with(text="和男友没见过面")],
    "game-trading": [facts_with(text="卖游戏号"), facts_with(text="游戏账号交易")],
    "off-platform-purchase": [facts_with(text="卖家不走平台"), facts_with(text="网上看中的车，叫先付")],
    "threatened": [facts_with(text="被人敲诈")],
    "remote-control": [
        facts_with(text="手机共享屏幕"),
        facts_with("on_phone_throughout"),
        facts_with("reads_from_screen"),
    ],
    "kept-apart": [
        facts_with(text="叫她别告诉女儿"),
        facts_with(text="说要保密"),
        facts_with("must_not_tell"),
        facts_with("accompanied_by_stranger"),
    ],
    "cannot-verify": [facts_with(text="电话打不通"), facts_with(text="视频他不接")],
    "story-does-not-hold": [facts_with(text="问做什么用答不上来"), facts_with("cannot_name_payee")],
}

ALMOST: dict[str, list[Facts]] = {
    "payee-alerted-before": [facts_with(payee=Payee(reports_7d=9, other_branches_7d=3))],
    "payee-gathers": [
        facts_with(payee=Payee(payers_1d=1)),
        facts_with(payee=Payee(payers_1d=9), payee_account_type=CORPORATE),
    ],
    "payer-tries-again": [facts_with(payer=Payer(reports_1d=1))],
    "splits-sum": [facts_with(payer=Payer(reports_1h=1, reports_1d=9))],
    "first-large-transfer": [
        facts_with("first_transfer_to_payee", amount_fen=5 * WAN - 1),
        facts_with("first_transfer_to_payee", amount_fen=5 * WAN, payee_account_type=CORPORATE),
        facts_with(amount_fen=5 * WAN),
    ],
    "elderly-customer": [
        facts_with(payer_age=59, amount_fen=5 * WAN),
        facts_with(payer_age=60, amount_fen=5 * WAN - 1),
        facts_with(payer_age=60, amount_fen=5 * WAN, payee_account_type=CORPORATE),
        facts_with(payer_age=None, amount_fen=5 * WAN),
    ],
    "invests-with-a-person": [facts_with(text="投资款", payee_account_type=CORPORATE), facts_with(text="理财到期")],
    "large-cash": [facts_with(channel=Channel.COUNTER_CASH, amount_fen=10 * WAN - 1), facts_with(amount_fen=10 * WAN)],
    "branch-rush": [facts_with(branch=Branch(reports_1h=4)), facts_with(branch=Branch(reports_1h=5, reports_7d=168))],
    "ordinary-purpose": [
        facts_with(text="购房首付"),
        facts_with("must_not_tell", text="购房首付", payee_account_type=CORPORATE),
        facts_with(text="转账", payee_account_type=CORPORATE),
    ],
    "officials-ordered": [facts_with(text="法院判决的赔偿款"), facts_with(text="社保局让补缴社保")],
    "acquaintance-by-message": [facts_with(text="还朋友去年借给他的钱")],
}


def each(table: dict[str, list[Facts]]) -> list[tuple[str, Facts]]:
    return [(rule, facts) for rule, many in table.items() for facts in many]


def test_every_rule_has_an_example() -> None:
    assert SPEAKS.keys() == RULES.keys()


@pytest.mark.parametrize(("rule", "facts"), each(SPEAKS))
def test_a_rule_speaks_on_its_example_and_says_why_in_chinese(rule: str, facts: Facts) -> None:
    reason = why(RULES[rule], facts)
    assert reason
    assert re.search("[一-鿿]{4}", reason)


@pytest.mark.parametrize(("rule", "facts"), each(ALMOST))
def test_a_rule_is_silent_just_short_of_its_example(rule: str, facts: Facts) -> None:
    assert why(RULES[rule], facts) is None


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_is_silent_on_a_plain_honest_report(rule: Rule) -> None:
    assert why(rule, PLAIN) is None


def test_rules_have_ids_of_their_own_and_weights_that_count() -> None:
    assert len(RULES) == len({rule.id for rule in RULES.values()})
    assert all(rule.weight and abs(rule.weight) <= 100 for rule in RULES.values())


@pytest.mark.parametrize(("rule", "facts"), each(SPEAKS))
def test_only_a_watched_payee_makes_an_alert_alone(rule: str, facts: Facts) -> None:
    [finding] = evaluate(facts, [RULES[rule]])
    assert (decide([finding]).level is Level.ALERT) == (rule == "payee-watched")
    assert (finding.weight >= ALERT_FROM) == (rule == "payee-watched")


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_that_names_a_scam_tells_the_teller_what_to_ask_and_say(rule: Rule) -> None:
    if isinstance(rule.scam_type, str) and rule.id != "loan-moves-on":
        assert rule.ask
        assert rule.say


def test_a_watched_payee_is_judged_by_the_scam_the_police_found() -> None:
    assert judged(facts_with(payee=Payee(watched=True, watched_scam_type="romance"))).scam_type == "romance"
    assert judged(facts_with(payee=Payee(watched=True))).scam_type is None


def test_a_watched_payee_is_an_alert_whatever_the_purpose() -> None:
    facts = facts_with(text="购房首付", payee_account_type=CORPORATE, payee=Payee(watched=True))
    assert judged(facts).level is Level.ALERT


def test_a_scammers_words_ask_for_caution_whatever_the_purpose() -> None:
    for text in ("货款，要转到安全账户", "学费，再充五千才能提现", "货款，跟着老师炒股"):
        assert judged(facts_with(text=text, payee_account_type=CORPORATE)).level is Level.CAUTION
