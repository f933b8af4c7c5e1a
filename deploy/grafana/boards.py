"""The three dashboards: Interception for the chief, Chain for ops, Rules for analysts."""

from typing import Final

from deploy.grafana import golden_time, hops, judging, machine, money, queues
from deploy.grafana.board import Board, Variable

BANK: Final = Variable("bank", "银行 bank", money.LEDGER, "bank")
UNIT: Final = Variable("unit", "单位 unit", money.LEDGER, "unit")

INTERCEPTION: Final = Board(
    "lanjie-interception",
    "拦截 · 劝阻止付",
    "钱拦住了多少，黄金时间用在哪里。The money and the golden time, for the chief.",
    "now/d",
    (*money.ROWS, *golden_time.ROWS),
    (BANK, UNIT),
    "ledger.md",
)

CHAIN: Final = Board(
    "lanjie-chain",
    "链路 · Chain",
    "Rate, errors and duration of every hop from the bank's report to the officer's screen and back, for ops.",
    "now-3h",
    (*hops.ROWS, *queues.ROWS, *machine.ROWS),
    (BANK, UNIT),
    "operations.md#what-to-watch",
)

RULES: Final = Board(
    "lanjie-rules",
    "研判与规则",
    "规则判得准不准，哪条规则在起作用。How well the rules judge, and which of them do, for analysts.",
    "now-7d",
    judging.ROWS,
    (BANK, UNIT),
    "rules.md",
)

BOARDS: Final = (INTERCEPTION, CHAIN, RULES)
