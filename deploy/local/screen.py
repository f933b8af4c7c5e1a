"""What a morning shows on the terminal: a row a visit, then the ledger's totals, the statement, the verification."""

import asyncio
import csv
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from deploy.local.ears import Ears
from deploy.local.player import BEIJING, Visit
from shared.money import yuan

STYLES: Final = {"alert": "bold white on red", "caution": "black on yellow", "clear": "green", "refused": "magenta"}
COLUMNS: Final = (
    ("时间", 8),
    ("网点 · 业务", 46),
    ("金额 ¥", 12),
    ("研判", 10),
    ("为什么", 40),
    ("预警", 9),
    ("签收", 8),
    ("结果", 40),
)
TABLE_WIDTH: Final = sum(width for _, width in COLUMNS) + 2 * len(COLUMNS)
MONEY: Final = {
    "reported": "报告",
    "averted": "劝阻",
    "stopped": "止付",
    "frozen": "冻结",
    "released": "解除",
    "returned": "返还",
    "lost": "损失",
}


def print_head(console: Console, title: str) -> None:
    """Print the title, and the names of the columns where the terminal is wide enough for them."""
    if not console.is_terminal:
        console.width = max(console.width, TABLE_WIDTH)
    console.print(f"\n[bold]{title}[/]（北京时间）  one visit after the other, as it happens\n")
    if console.width >= TABLE_WIDTH:
        _print_row(console, [name for name, _ in COLUMNS], style="bold")


def print_visit(console: Console, visit: Visit) -> None:
    """Print a visit when it is over."""
    report = visit.body
    cells = [
        datetime.now(BEIJING).strftime("%H:%M:%S"),
        f"[dim]{report['branch_code']}[/] {visit.script['story']}",
        yuan(report["transfer"]["amount_fen"]),
        f"[{STYLES[visit.level]}] {visit.level} [/]",
        visit.why,
        visit.alert,
        visit.acknowledged,
        "；".join(visit.results),
    ]
    (_print_row if console.width >= TABLE_WIDTH else _print_block)(console, cells)
    if visit.level != visit.script.get("expect", visit.level):
        console.print(f"[red]not as expected: {visit.level} instead of {visit.script['expect']}[/]")


def _print_row(console: Console, cells: list[str], style: str = "") -> None:
    table = Table(show_header=False, box=None, padding=(0, 1), style=style)
    for place, (_, width) in enumerate(COLUMNS):
        table.add_column(width=width, justify="right" if place == 2 else "left", overflow="fold")  # noqa: PLR2004
    table.add_row(*cells)
    console.print(table)


def _print_block(console: Console, cells: list[str]) -> None:
    """Print a visit on a terminal that is too narrow for the table."""
    at, story, amount, level, why, alert, acknowledged, result = cells
    times = "".join([f"  预警 {alert}" if alert else "", f"  签收 {acknowledged}" if acknowledged else ""])
    console.print(f"{at}  ¥{amount}  {level}{times}")
    for text in (story, f"为什么：{why}", f"结果：{result}" if result else ""):
        if text:
            console.print(Padding(text, (0, 0, 0, 10)))


async def print_totals(client: httpx2.AsyncClient, info: dict[str, Any], ears: Ears, console: Console) -> None:
    """Print what the ledger holds, and how many alerts came in by which way."""
    metrics = (await client.get(f"{info['notifier']}/metrics")).text
    money: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        if family.name == "lanjie_money_yuan":
            for sample in family.samples:
                money[sample.labels["kind"]] = money.get(sample.labels["kind"], 0) + sample.value
    console.print("\n[bold]合计[/]  from the ledger, since its beginning")
    console.print("   ".join(f"{name} {kind} [bold]¥{money.get(kind, 0):,.2f}[/]" for kind, name in MONEY.items()))
    console.print(
        f"预警 {len(ears.streamed)} 条经事件流送达，{len(ears.hooked)} 条经签名 webhook 送达，"
        f"{len(ears.mails)} 封邮件，签名不符 {ears.forged} 条"
    )


async def print_ledger(environment: dict[str, str], console: Console) -> None:
    """Print the month's statement of the top unit, and what the verification of the ledger says."""
    month = datetime.now(BEIJING).strftime("%Y-%m")
    said, verified = await asyncio.gather(
        _lanjie(environment, "ledger", "statement", month, "--by", "unit"), _lanjie(environment, "ledger", "verify")
    )
    line = next(row for row in csv.DictReader(said.splitlines()) if row["单位代码"] == "SZ")
    console.print(f"\n[bold]月报[/] {month} {line['单位']}  lanjie ledger statement {month} --by unit")
    counts = f"报告 [bold]{line['报告数']}[/] 笔   拦截账户 [bold]{line['拦截账户数']}[/] 个"
    console.print(f"{counts}   报告数同比 {_change(line, '同比')}   环比 {_change(line, '环比')}")
    console.print("   ".join(f"{name} ¥{float(line[f'{name}金额（元）']):,.2f}" for name in MONEY.values()))
    console.print(f"\n[bold]台账核对[/]  lanjie ledger verify\n{verified.strip()}")


def _change(line: dict[str, str], kind: str) -> str:
    change = line[f"报告数{kind}（%）"]
    return f"{change} %" if change else "—"


async def _lanjie(environment: dict[str, str], *words: str) -> str:
    """Run a command as an operator would; return what it said, whether it ended well or not."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "lanjie",
        *words,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()
