"""The rules about what is seen and known: the customer, the sum, the payee's and the payer's past."""

from typing import Final

from services.rules.features import Facts
from services.rules.pack import Phrases, Rule, ticked
from shared.events import AccountType, Channel
from shared.money import yuan

WAN_FEN: Final = 1_000_000
"""一万元, in fen."""

LARGE_TRANSFER_FEN: Final = 5 * WAN_FEN
LARGE_CASH_FEN: Final = 10 * WAN_FEN
ELDERLY_FROM: Final = 60
"""Years of age: 老年人权益保障法第二条."""

HONEST: Final = Phrases(
    "首付|购房|房款|学费|学杂费|住院|医疗费|医药费|工资|货款|工程款|租金|物业费|社保|保险费|税款|契税|诉讼费|案件受理费"
)
INVESTING: Final = Phrases("投资款|投资理财|购买理财|买理财|理财款|炒股|入金|跟投|认购")


def _to_a_person(facts: Facts) -> bool:
    return facts.payee_account_type is AccountType.PERSONAL


def _watched(facts: Facts) -> str | None:
    return "收款账户已由公安机关确认涉诈" if facts.payee.watched else None


def _alerted_before(facts: Facts) -> str | None:
    if not facts.payee.alerts_7d:
        return None
    elsewhere = f"，另有 {facts.payee.other_branches_7d} 个网点报告" if facts.payee.other_branches_7d else ""
    return f"该收款账户 7 天内已预警 {facts.payee.alerts_7d} 次{elsewhere}"


def _gathers(facts: Facts) -> str | None:
    if facts.payee.payers_1d >= 2 and _to_a_person(facts):  # noqa: PLR2004 - plus this one
        return f"该收款账户 24 小时内已被 {facts.payee.payers_1d} 名不同客户的可疑转账报告过，疑似分散转入"
    return None


def _tries_again(facts: Facts) -> str | None:
    if facts.payer.suspected_elsewhere_1d:
        return f"该客户 24 小时内已在其他网点被判为可疑 {facts.payer.suspected_elsewhere_1d} 次，疑似换网点转账"
    if "refused_at_another_branch" in facts.cues:
        return "客户在其他网点被劝阻后又来办理（柜员勾选）"
    return None


def _splits(facts: Facts) -> str | None:
    if "splits_sum" in facts.cues:
        return "客户把一笔钱拆成几笔，避开限额（柜员勾选）"
    if facts.payer.reports_1h >= 2:  # noqa: PLR2004 - plus this one
        return f"该客户 1 小时内此前已有 {facts.payer.reports_1h} 笔可疑转账报告，疑似拆分"
    return None


def _first_large_transfer(facts: Facts) -> str | None:
    first = "first_transfer_to_payee" in facts.cues
    if first and _to_a_person(facts) and facts.amount_fen >= LARGE_TRANSFER_FEN:
        return f"首次向该个人账户转账，金额达 {yuan(facts.amount_fen)} 元"
    return None


def _elderly(facts: Facts) -> str | None:
    if "elderly_unusual_amount" in facts.cues:
        return f"老年客户办理异常金额业务，金额 {yuan(facts.amount_fen)} 元"
    old = facts.payer_age is not None and facts.payer_age >= ELDERLY_FROM
    if old and facts.amount_fen >= LARGE_TRANSFER_FEN and _to_a_person(facts):
        return f"客户 {facts.payer_age} 岁，向个人账户转账 {yuan(facts.amount_fen)} 元"
    return None


def _invests_with_a_person(facts: Facts) -> str | None:
    if _to_a_person(facts) and (quoted := INVESTING.quoted(facts.text)):
        return f"投资理财的钱转给个人（备注或用途提到“{quoted}”）"
    return None


def _large_cash(facts: Facts) -> str | None:
    if facts.channel is Channel.COUNTER_CASH and facts.amount_fen >= LARGE_CASH_FEN:
        return f"大额取现 {yuan(facts.amount_fen)} 元"
    return None


def _own_account(facts: Facts) -> str | None:
    return "付款人与收款人为同一账户" if "payer_is_payee" in facts.flags else None


def _branch_rush(facts: Facts) -> str | None:
    usual = facts.branch.reports_7d / 84  # a week has 84 spans of two clock hours
    if facts.branch.reports_1h >= 5 and facts.branch.reports_1h >= 3 * max(1.0, usual):  # noqa: PLR2004
        return f"该网点近两小时已有 {facts.branch.reports_1h} 笔可疑报告，明显多于平日"
    return None


def _ordinary(facts: Facts) -> str | None:
    """An ordinary purpose to an organisation's account, and nothing odd about the customer."""
    odd = facts.cues - {"first_transfer_to_payee"}
    if odd or _to_a_person(facts) or not (quoted := HONEST.quoted(facts.text)):
        return None
    return f"用途为“{quoted}”，收款方为单位账户，未见异常"


SIGNS: Final[tuple[Rule, ...]] = (
    Rule(
        "payee-watched",
        80,
        _watched,
        lambda facts: facts.payee.watched_scam_type,
        do=("不要办理，立即报告网点负责人，等候民警。",),
    ),
    Rule("payee-alerted-before", 30, _alerted_before),
    Rule("payee-gathers", 20, _gathers),
    Rule("payer-tries-again", 30, _tries_again, do=("与先前网点核对情况，不要重复放行。",)),
    Rule(
        "cash-after-refusal",
        30,
        ticked("cash_after_refusal", "转账被劝阻后改为取现"),
        do=("不要办理大额取现，报告网点负责人。",),
    ),
    Rule(
        "loan-moves-on",
        30,
        ticked("new_loan_transferred", "新办贷款到账后马上全部转出"),
        "fake_loan",
        ask=("这笔贷款是自己要用，还是别人让您贷的？",),
    ),
    Rule(
        "invests-with-a-person",
        25,
        _invests_with_a_person,
        "fake_investment",
        ask=("收款的是什么人？有没有正规的合同和机构？",),
        say=("正规投资不会让您把钱转到个人账户。",),
    ),
    Rule("splits-sum", 20, _splits),
    Rule("first-large-transfer", 15, _first_large_transfer),
    Rule("elderly-customer", 15, _elderly, do=("联系客户家人核实。",)),
    Rule("breaks-deposit", 15, ticked("breaks_term_deposit", "提前支取定期存款用于转账")),
    Rule("hurried", 10, ticked("hurried_anxious", "客户神情慌张、催促办理或流泪")),
    Rule("remote-payee", 10, ticked("remote_payee", "收款人在外省，与客户没有关联")),
    Rule("large-cash", 10, _large_cash, ask=("取这么多现金作什么用？要交给谁？",)),
    Rule("branch-rush", 5, _branch_rush),
    Rule("own-account", 5, _own_account),
    Rule("ordinary-purpose", -25, _ordinary),
)
