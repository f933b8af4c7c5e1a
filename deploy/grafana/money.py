"""The money: what the ledger holds, by kind, bank, unit and scam type. Chinese first, as it is police who read it."""

from functools import partial
from typing import Final

from deploy.grafana.asking import BANK, CHOSEN, UNIT, grown, or_none, or_none_of, part, shown
from deploy.grafana.board import Colour, Matrix, Panel, Query, Row, Unit, alarm, number, table
from deploy.grafana.words import scam_types

LEDGER: Final = "lanjie_money_yuan"
EACH: Final = "max by (kind, bank, unit)"
"""The ledger is the same on all replicas."""

ALWAYS: Final = "lanjie_money_by_type_yuan"
"""Shown as soon as the ledger was read, also while it is empty."""

EXPIRING: Final = "lanjie_stop_orders_expiring"

KINDS: Final = (
    ("reported", "报告"),
    ("averted", "劝阻"),
    ("stopped", "止付"),
    ("frozen", "冻结"),
    ("released", "解除"),
    ("returned", "返还"),
    ("lost", "损失"),
)

FROM_THE_START: Final = (
    "所选时段之初及此前一天若无数据，则自台账开始时算起。Where there is no data of the beginning of the chosen time "
    "and the day before it, it is counted from the beginning of the ledger."
)


def booked(kinds: str) -> str:
    """Return what the ledger gained of some kinds over the chosen time. Below 0 where it took back more."""
    money = f'{LEDGER}{{kind=~"{kinds}", {BANK}, {UNIT}}}'
    return or_none_of(ALWAYS, f"sum({EACH} ({money})) - (sum({_before(money)}) or vector(0))")


def booked_by(label: str) -> str:
    """Return the same by kind, and by bank or unit."""
    money, by = f"{LEDGER}{{{BANK}, {UNIT}}}", f"sum by ({label}, kind)"
    return f"{by} ({EACH} ({money})) - ({by} ({_before(money)}) or 0 * {by} ({EACH} ({money})))"


def _before(money: str) -> str:
    """Return the ledger as the chosen time began; where nobody showed it just then, as it was seen last before."""
    return f"{EACH} ({money} offset {CHOSEN}) or {EACH} (last_over_time({money}[1d] offset {CHOSEN}))"


def held(kind: str) -> str:
    """Return what the ledger holds of a kind, since its beginning."""
    money = f'{LEDGER}{{kind="{kind}", {BANK}, {UNIT}}}'
    return f"({or_none_of(ALWAYS, f'sum({EACH} ({money}))')})"


def _sum_of(kind: str, title: str, asks: str, colour: Colour) -> Panel:
    return number(
        title, f"{asks}\n\n{FROM_THE_START}", Unit.YUAN, (Query(booked(kind)),), base=colour, see="ledger.md#kinds"
    )


SUMS: Final = (
    _sum_of("reported", "报告金额", "柜面报来的可疑转账有多少？How much was reported at the counters?", Colour.PLAIN),
    _sum_of(
        "averted", "劝阻金额", "客户在柜面被劝住了多少？How much did customers cancel at the counter?", Colour.GOOD
    ),
    _sum_of("stopped", "止付金额", "银行确认止付了多少？How much did banks confirm that they stopped?", Colour.GOOD),
    _sum_of("frozen", "冻结金额", "止付之后冻结了多少？How much of that was frozen?", Colour.GOOD),
    _sum_of("returned", "返还金额", "返还给受害人多少？How much went back to victims?", Colour.GOOD),
    _sum_of(
        "lost",
        "损失金额",
        "已经转走、没有止住的有多少？变大时看下面的“黄金时间”，是在哪一步慢的。"
        "How much had gone and was not stopped? When it grows, see below at which step the time went.",
        Colour.BAD,
    ),
)

NOW: Final = (
    number(
        "拦截率",
        "报告的钱里，劝阻和止付的占多少？偏低时看按银行、按单位两张表，从最低的一行查起。\n\n"
        "What part of the reported money was averted or stopped? Where it is low, begin with the lowest line of the "
        "tables by bank and by unit.",
        Unit.SHARE,
        (Query(part(booked("averted|stopped"), f"({booked('reported')})")),),
        see="ledger.md",
    ),
    number(
        "在控金额",
        "此刻仍止付、冻结着的有多少？每一笔都有到期时间，到期前或续或放。\n\n"
        "How much is held still? Each hold runs out; before it does, it must be renewed or let go.",
        Unit.YUAN,
        (Query(" - ".join(held(kind) for kind in ("stopped", "released", "returned"))),),
        see="orders.md#expiry-and-release",
    ),
    number(
        "解除金额",
        "止付之后又放开的有多少？过多时看“研判与规则”的不实占比：拦错了人。\n\n"
        "How much was stopped and let go again? Where it is much, see the share of unfounded reports in Rules.",
        Unit.YUAN,
        (Query(booked("released")),),
        see="ledger.md#kinds",
    ),
    number(
        "新开案件",
        "所选时段里新开了多少起预警案件？突然变少，看“链路”是否通畅；突然变多，看“按诈骗类型”。\n\n"
        "How many cases were opened? Suddenly few: see Chain. Suddenly many: see which scam type.",
        Unit.COUNT,
        (Query(or_none(grown("lanjie_case_reports_total", where=f'how="opened", {UNIT}'))),),
        see="casework.md",
    ),
    alarm(
        "即将到期的止付",
        "两小时内满 48 小时、尚无后续手续的止付有几笔？不是 0 就催办案单位：冻结，或者放开。\n\n"
        "How many stops run out within two hours with nothing to follow? Call the unit: freeze, or let go.",
        Unit.COUNT,
        (Query(or_none_of(EXPIRING, f"sum({shown(EXPIRING, 'bank', BANK)})")),),
        see="runbooks.md#lanjiestopordersexpiring",
    ),
    alarm(
        "台账差异",
        "台账核对不上的有几处？不是 0 时不要手工更正：保存核对结果，叫运维。\n\n"
        "How many differences does the verification find? Correct nothing by hand: keep what it says, and call ops.",
        Unit.COUNT,
        (Query(shown("lanjie_ledger_differences")),),
        see="runbooks.md#lanjieledgerdiffers",
    ),
)

wide = partial(table, width=12)

WHERE: Final = (
    Panel(
        "台账走势",
        "各类金额怎样增长？损失涨而止付不涨，就是慢了。\n\n"
        "How do the sums grow? Where the lost grows and the stopped does not, we are too slow.",
        Unit.YUAN,
        tuple(Query(held(kind), title) for kind, title in KINDS),
        width=12,
        see="ledger.md",
    ),
    wide(
        "按诈骗类型",
        "哪类手法卷走最多，哪类拦得住？损失集中的类型，请分析员看规则、请社区做宣传。自台账开始时算起，不分银行和单位。"
        "\n\n"
        "Which scam takes the most, and which is stopped? Since the beginning of the ledger, for all banks and units.",
        Unit.YUAN,
        (Query(shown("lanjie_money_by_type_yuan", "scam_type, kind")),),
        matrix=Matrix("scam_type", "kind", KINDS, "诈骗类型"),
        names=scam_types(),
        see="judgement.md",
    ),
    wide(
        "按银行",
        "哪家银行劝得住、止得快，哪家损失多？与最差的一家总行联系。\n\n"
        "Which bank averts and stops, and where is the most lost? Talk to the head office of the last one.",
        Unit.YUAN,
        (Query(booked_by("bank")),),
        matrix=Matrix("bank", "kind", KINDS, "银行"),
        see="ledger.md#kinds",
    ),
    wide(
        "按单位",
        "哪个单位辖区里报得多、拦得住？损失多的辖区，看它的签收和指令快慢。\n\n"
        "In which unit's area is much reported, and is it intercepted? Where much is lost, see how fast it acts.",
        Unit.YUAN,
        (Query(booked_by("unit")),),
        matrix=Matrix("unit", "kind", KINDS, "单位"),
        see="ledger.md#kinds",
    ),
)

ROWS: Final = (
    Row("钱 · The money", SUMS + NOW),
    Row("哪家银行、哪个单位、什么手法 · By bank, unit and scam type", WHERE),
)
