"""The monthly statement: what was held, stopped and given back, beside the year and the period before. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from services.notifier.clock.clock import BEIJING
from services.notifier.money.ledger import Kind
from shared.money import yuan


class By(StrEnum):
    """What a statement has a line for."""

    UNIT = "unit"
    BANK = "bank"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole months of Beijing, from one to another."""

    first: int
    """The months since year 0."""
    months: int

    @property
    def starts_at(self) -> datetime:
        return _beginning(self.first)

    @property
    def ends_at(self) -> datetime:
        return _beginning(self.first + self.months)

    @property
    def before(self) -> "Period":
        """Return the period of the same length that ends where this one begins."""
        return Period(self.first - self.months, self.months)

    @property
    def year_before(self) -> "Period":
        return Period(self.first - 12, self.months)

    def __str__(self) -> str:
        names = [f"{month // 12}-{month % 12 + 1:02}" for month in (self.first, self.first + self.months - 1)]
        return " 至 ".join(dict.fromkeys(names))


def _beginning(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=BEIJING)


def period(first: str, until: str | None) -> Period:
    """Read `2026-10`, or with a last month. Raises `ValueError`."""
    start, end = _month(first), _month(until or first)
    if end < start:
        raise ValueError(f"{until} is before {first}")
    return Period(start, end - start + 1)


def _month(text: str) -> int:
    found = re.fullmatch(r"([12][0-9]{3})-(0[1-9]|1[0-2])", text)
    if found is None:
        raise ValueError(f"{text!r} is not a month such as 2026-10")
    return int(found[1]) * 12 + int(found[2]) - 1


Figures = Counter[str]
"""Numbers of accounts and reports, and fen by kind of money."""

ACCOUNTS, REPORTS = "accounts", "reports"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: whose it is, and the figures of the period, of the year before, of the period before."""

    unit: str
    unit_name: str
    bank: str
    now: Figures
    year_before: Figures
    before: Figures


NAMES: Final[Mapping[str, str]] = {
    ACCOUNTS: "拦截账户数",
    REPORTS: "报告数",
    Kind.REPORTED: "报告金额（元）",
    Kind.AVERTED: "劝阻金额（元）",
    Kind.STOPPED: "止付金额（元）",
    Kind.FROZEN: "冻结金额（元）",
    Kind.RELEASED: "解除金额（元）",
    Kind.RETURNED: "返还金额（元）",
    Kind.LOST: "损失金额（元）",
}

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would take for a formula."""


def header() -> list[str]:
    """Return the names of the columns."""
    columns = ["期间", "单位代码", "单位", "银行"]
    for name in NAMES.values():
        columns += [name, f"{name}上年同期", f"{name}同比（%）", f"{name}上期", f"{name}环比（%）"]
    return columns


def rows(about: Period, lines: Sequence[Line]) -> Iterator[list[str]]:
    """Yield the cells of each line, ready for a spreadsheet."""
    for line in lines:
        cells = [str(about), _text(line.unit), _text(line.unit_name), _text(line.bank)]
        for name in NAMES:
            now, year_before, before = line.now[name], line.year_before[name], line.before[name]
            cells += [_figure(name, now), _figure(name, year_before), change(now, year_before)]
            cells += [_figure(name, before), change(now, before)]
        yield cells


def _figure(name: str, number: int) -> str:
    return str(number) if name in (ACCOUNTS, REPORTS) else yuan(number).replace(",", "")


def _text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def change(now: int, base: int) -> str:
    """Return the change in percent with one decimal; nothing where there is nothing to compare with."""
    if not base:
        return ""
    return str((Decimal(now - base) * 100 / abs(base)).quantize(Decimal("0.1"), ROUND_HALF_UP))
