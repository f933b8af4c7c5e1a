"""The rules: what each looks for, how much it weighs, why, and what the teller should do.

A rule is a pure function of the facts that returns why it speaks, or nothing. The sentences are read by
tellers and police, so they name what made the rule speak.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.rules.features import Facts
from services.rules.verdict import Finding
from shared.events import AccountType, Advice, Channel
from shared.money import yuan

PACK: Final = "builtin-1"

GAP: Final = 10
"""How many characters may stand between the words of a phrase."""

WAN_FEN: Final = 1_000_000
"""一万元, in fen."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `when` returns the reason in Chinese when it speaks."""

    id: str
    weight: int
    when: Callable[[Facts], str | None]
    scam_type: str | None = None
    ask: tuple[str, ...] = ()
    say: tuple[str, ...] = ()
    do: tuple[str, ...] = ()
    advice: Advice = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "advice", Advice(ask=self.ask, say=self.say, do=self.do))


def evaluate(facts: Facts, rules: Sequence[Rule]) -> list[Finding]:
    """Ask every rule; return those that speak."""
    findings = []
    for rule in rules:
        why = rule.when(facts)
        if why is not None:
            findings.append(Finding(rule.id, rule.weight, why, rule.scam_type, rule.advice))
    return findings


def ticked(cue: str, why: str) -> Callable[[Facts], str | None]:
    """Speak when the teller ticked a cue."""
    return lambda facts: why if cue in facts.cues else None


def says(phrases: Sequence[str | tuple[str, ...]], why: str, cue: str = "") -> Callable[[Facts], str | None]:
    """Speak when the cue is ticked, or when note or purpose hold one of `phrases`.

    A phrase is words (a regular expression without wildcards), or several that follow each other closely.
    The reason quotes the words only: what stands between them is the customer's own and stays sealed.
    """
    chains = [(phrase,) if isinstance(phrase, str) else phrase for phrase in phrases]
    pattern = re.compile("|".join(f".{{0,{GAP}}}?".join(f"({words})" for words in chain) for chain in chains))

    def when(facts: Facts) -> str | None:
        if found := pattern.search(facts.text):
            quoted = "…".join(words for words in found.groups() if words)
            return f"{why}（备注或用途提到“{quoted}”）"
        return f"{why}（柜员勾选）" if cue and cue in facts.cues else None

    return when


def _first_large_transfer(facts: Facts) -> str | None:
    first = "first_transfer_to_payee" in facts.cues
    personal = facts.payee_account_type is AccountType.PERSONAL
    if first and personal and facts.amount_fen >= 5 * WAN_FEN:
        return f"首次向该个人账户转账，金额达 {yuan(facts.amount_fen)} 元"
    return None


def _elderly(facts: Facts) -> str | None:
    old = facts.payer_age is not None and facts.payer_age >= 60  # noqa: PLR2004 - 老年人权益保障法第二条
    if "elderly_unusual_amount" in facts.cues:
        return f"老年客户办理异常金额业务，金额 {yuan(facts.amount_fen)} 元"
    if old and facts.amount_fen >= 5 * WAN_FEN and facts.payee_account_type is AccountType.PERSONAL:
        return f"客户 {facts.payer_age} 岁，向个人账户转账 {yuan(facts.amount_fen)} 元"
    return None


def _payee_elsewhere(facts: Facts) -> str | None:
    if facts.payee.other_branches_7d and facts.payee.alerts_7d:
        return f"该收款账户 7 天内另有 {facts.payee.other_branches_7d} 个网点报告，其中预警 {facts.payee.alerts_7d} 次"
    return None


def _gathering(facts: Facts) -> str | None:
    if facts.payee.payers_1d >= 2 and facts.payee_account_type is AccountType.PERSONAL:  # noqa: PLR2004 - plus this one
        return f"该收款账户 24 小时内已被 {facts.payee.payers_1d} 名不同客户的可疑转账报告过，疑似分散转入"
    return None


def _payer_elsewhere(facts: Facts) -> str | None:
    if facts.payer.suspected_elsewhere_1d:
        return f"该客户 24 小时内已在其他网点被判为可疑 {facts.payer.suspected_elsewhere_1d} 次，疑似换网点转账"
    if "refused_at_another_branch" in facts.cues:
        return "客户在其他网点被劝阻后又来办理（柜员勾选）"
    return None


def _splitting(facts: Facts) -> str | None:
    if "splits_sum" in facts.cues:
        return "客户把一笔钱拆成几笔，避开限额（柜员勾选）"
    if facts.payer.reports_1h >= 2:  # noqa: PLR2004 - plus this one
        return f"该客户 1 小时内已有 {facts.payer.reports_1h} 笔可疑转账报告，疑似拆分"
    return None


def _watched(facts: Facts) -> str | None:
    return "收款账户已由公安机关确认涉诈" if facts.payee.watched else None


def _controlled(facts: Facts) -> str | None:
    signs = {
        "on_phone_throughout": "全程通话或戴耳机",
        "reads_from_screen": "照着屏幕念或共享屏幕",
    }
    seen = [text for cue, text in signs.items() if cue in facts.cues]
    return f"客户疑似受人遥控：{'、'.join(seen)}" if seen else None


def _kept_apart(facts: Facts) -> str | None:
    signs = {
        "must_not_tell": "不许告诉家人和银行",
        "accompanied_by_stranger": "由陌生人陪同并代答",
    }
    seen = [text for cue, text in signs.items() if cue in facts.cues]
    return f"有人不让客户与旁人商量：{'、'.join(seen)}" if seen else None


def _branch_rush(facts: Facts) -> str | None:
    usual = facts.branch.reports_7d / 84  # a week has 84 spans of two clock hours
    if facts.branch.reports_1h >= 5 and facts.branch.reports_1h >= 3 * max(1.0, usual):  # noqa: PLR2004
        return f"该网点近两小时已有 {facts.branch.reports_1h} 笔可疑报告，明显多于平日"
    return None


def _honest(facts: Facts) -> str | None:
    """An ordinary purpose to an organisation's account, and nothing odd about the customer."""
    if facts.cues - {"first_transfer_to_payee"} or facts.payee.watched:
        return None
    found = HONEST.search(facts.text)
    if found and facts.payee_account_type is AccountType.CORPORATE:
        return f"用途为“{found.group()}”，收款方为单位账户，未见异常"
    return None


HONEST: Final = re.compile(r"首付|购房|房款|学费|学杂费|住院|医疗费|医药费|工资|货款|租金|社保|税款")

OFFICIALS_NEVER: Final = "公检法机关没有“安全账户”，不会在电话里办案，也不会让您转账。"

RULES: Final[tuple[Rule, ...]] = (
    Rule("payee-watched", 80, _watched, do=("不要办理，立即报告网点负责人，等候民警。",)),
    Rule(
        "safe-account",
        50,
        says(["安全账[户号]|(?:核查|清查)账户|资金(?:核查|清查)"], "要求把钱转入“安全账户”", "safe_account"),
        "impersonated_authority",
        ask=("是不是有自称公安、检察院、法院的人让您转账？",),
        say=(OFFICIALS_NEVER,),
    ),
    Rule(
        "officials-ordered",
        40,
        says(
            [
                ("公安|警官|警察|检察[院官]|法院|法官|通管局|社保局", "电话|让|叫|要求|说|涉案|洗钱|通缉"),
                "涉嫌洗钱|通缉令|配合调查",
            ],
            "自称公检法或政府机关的人要求转账",
            "police_ordered",
        ),
        "impersonated_authority",
        ask=("对方有没有给您看“通缉令”“冻结令”？",),
        say=(OFFICIALS_NEVER,),
    ),
    Rule(
        "brushing-task",
        50,
        says(["刷单|做任务|连单|联单|返佣|派单", ("垫付|垫了|点赞", "返|佣")], "刷单返利类诈骗的说法", "brushing_task"),
        "brushing_rebates",
        ask=("这是不是网上的“任务”？前几单是不是返过小钱？",),
        say=("所有刷单都是诈骗，先给小利，后骗大钱。",),
    ),
    Rule(
        "fee-to-withdraw",
        45,
        says(
            [("解冻|提现|出金|激活|认证", "费|保证金|押金"), ("交税", "提现|出金"), ("才[能给]", "提现|提|出金|放款")],
            "要先交钱才能提现、解冻或放款",
            "pays_fee_to_withdraw",
        ),
        "fake_investment",
        ask=("这笔钱交了以后，对方说能拿回多少？以前提现成功过吗？",),
        say=("凡是先交保证金、解冻费、税款才能提现的，都是诈骗。",),
    ),
    Rule(
        "investment-platform",
        35,
        says(
            [("投资|理财|炒股|期货|数字货币|虚拟币|黄金", "平台|老师|导师|群|软件|app"), "内幕|稳赚|高回报|带单"],
            "网上投资理财平台的说法",
        ),
        "fake_investment",
        ask=("这个平台是谁介绍的？在正规应用商店能下载到吗？",),
        say=("没有稳赚不赔的投资，群里的“老师”和“学员”多半是一伙的。",),
    ),
    Rule(
        "loan-or-credit",
        35,
        says(
            [
                ("征信", "修复|消除|影响|清零|注销"),
                ("注销", "账户|校园贷|额度"),
                "刷流水",
                ("贷款", "验证|保证金|流水|解冻"),
            ],
            "虚假贷款或征信类诈骗的说法",
        ),
        "fake_credit_record",
        ask=("是不是有人说您的征信有问题，或者放款前要先转钱？",),
        say=("个人征信由中国人民银行管理，任何人都不能花钱修改。",),
    ),
    Rule(
        "loan-moves-on",
        30,
        ticked("new_loan_transferred", "新办贷款到账后马上全部转出"),
        "fake_loan",
        ask=("这笔贷款是自己要用，还是别人让您贷的？",),
    ),
    Rule(
        "customer-service",
        40,
        says(
            [
                ("客服", "退款|理赔|取消|会员|百万保障"),
                "百万保障|双倍赔",
                ("取消", "会员|代理商|自动扣费"),
                ("快递", "理赔"),
            ],
            "冒充电商物流客服的说法",
        ),
        "fake_customer_service",
        ask=("对方是不是说您误开了会员，或者快递丢了要理赔？",),
        say=("真正的客服退款原路返回，不会让您转账。",),
    ),
    Rule(
        "boss-or-acquaintance",
        40,
        says(
            [
                ("老板|领导|董事长|总经理|书记", "qq|微信|群|让|叫|急"),
                ("同学|亲戚|朋友", "微信|qq", "借|急"),
            ],
            "冒充领导熟人的说法",
        ),
        "impersonated_acquaintance",
        ask=("有没有打电话或当面跟本人确认过？",),
        say=("请先用您自己存的号码打给本人核实。",),
    ),
    Rule(
        "romance-or-game",
        35,
        says(
            [("网恋|网友|交友|没见过面|网上认识", "转|借|投|汇|急"), ("游戏|皮肤|装备", "交易|解冻|保证金|买|卖")],
            "网络交友或游戏交易类诈骗的说法",
        ),
        "romance",
        ask=("您和对方见过面吗？认识多久了？",),
    ),
    Rule("remote-control", 25, _controlled, say=("请先把电话挂掉，我们当面说。",), do=("引导客户挂断电话、退出屏幕共享。",)),
    Rule("kept-apart", 20, _kept_apart, say=("这笔钱的事，和家人商量一下再办也不迟。",), do=("请客户单独到安静处说话。",)),
    Rule(
        "off-platform-purchase",
        25,
        says(
            [("不走|不肯走|绕开|脱离|私下", "平台|交易|担保"), ("半价|低价", "加微信|私聊|先付款|先转")],
            "虚假购物或服务的说法",
        ),
        "fake_shopping",
        ask=("为什么不走平台担保交易？看过实物吗？",),
    ),
    Rule(
        "story-does-not-hold",
        15,
        ticked("cannot_name_payee", "说不清收款人是谁，或前后说法不一"),
        ask=("收款人叫什么名字？您最近一次见他是什么时候？",),
    ),
    Rule("hurried", 10, ticked("hurried_anxious", "客户神情慌张、催促办理或流泪")),
    Rule("remote-payee", 10, ticked("remote_payee", "收款人在外省，与客户没有关联")),
    Rule("breaks-deposit", 15, ticked("breaks_term_deposit", "提前支取定期存款用于转账")),
    Rule(
        "cash-after-refusal",
        30,
        lambda facts: "转账被劝阻后改为取现" if "cash_after_refusal" in facts.cues else None,
        do=("不要办理大额取现，报告网点负责人。",),
    ),
    Rule("first-large-transfer", 15, _first_large_transfer),
    Rule("elderly-customer", 15, _elderly, do=("联系客户家人核实。",)),
    Rule("payee-reported-elsewhere", 30, _payee_elsewhere),
    Rule("payee-gathers", 20, _gathering),
    Rule("payer-tries-again", 30, _payer_elsewhere, do=("与先前网点核对情况，不要重复放行。",)),
    Rule("splits-sum", 20, _splitting),
    Rule("branch-rush", 5, _branch_rush),
    Rule(
        "own-account-elsewhere",
        5,
        lambda facts: "付款人与收款人为同一账户" if "payer_is_payee" in facts.flags else None,
    ),
    Rule(
        "large-cash",
        10,
        lambda facts: (
            f"大额取现 {yuan(facts.amount_fen)} 元"
            if facts.channel is Channel.COUNTER_CASH and facts.amount_fen >= 10 * WAN_FEN
            else None
        ),
        ask=("取这么多现金作什么用？要交给谁？",),
    ),
    Rule("ordinary-purpose", -25, _honest),
)
