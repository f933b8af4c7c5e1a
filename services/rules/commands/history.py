"""`lanjie rules explain|backtest|shadow`: looking back at what was judged, and at what would be."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from services.rules import history_store, pack_store
from services.rules.backtest import Tally, label_of, weights_of
from services.rules.commands.packs import checked, faults_listed, folded, stored_as
from services.rules.judging import condition_kept, visit_of
from services.rules.pack.compiled import CompiledPack, Judgement
from services.rules.pack.compiling import compile_pack
from services.rules.verdict import Verdict
from shared.command import connected, run
from shared.events import Level, VerdictReached
from shared.postgres import RawConnection, Row
from shared.privacy import Seal, SealBrokenError
from shared.settings import Keys, Told, read_keys

console = Console(highlight=False, soft_wrap=True)
SPAN = re.compile(r"(\d{1,4})([dh])")


class Narrative(Told):
    """What looking back needs besides the database: the key to what tellers wrote."""

    narrative_keys: Keys

    def seal(self) -> Seal:
        """Return the seal of notes and purposes."""
        return Seal(read_keys(self.narrative_keys))


def explain(report: Annotated[UUID, typer.Argument(help="Report id.")]) -> None:
    """Explain every verdict on a report: by which pack, by which facts, rule by rule, and whether it still holds."""

    async def work() -> None:
        narrative = Narrative().seal()
        async with connected("rules") as connection:
            rows = await history_store.verdicts_of(connection, report)
            if not rows:
                raise ValueError(f"no verdict on report {report} is kept here")
            for row in rows:
                stored = await pack_store.stored(connection, row["pack_version"]) if row["pack_version"] else None
                with faults_listed():
                    _explain(row, compile_pack(stored.files) if stored else None, narrative)

    run(work)


def _explain(row: Row, pack: CompiledPack | None, narrative: Seal) -> None:
    event = VerdictReached.model_validate_json(row["event"])
    at = f"{row['judged_at']:%Y-%m-%d %H:%M:%S %Z}"
    console.print(f"\n[bold]version {row['version']}[/] {at}  {_level(row['level'])}  score {row['score']}")
    console.print(f"pack {event.pack} {(row['pack_hash'] or '')[:12]}")
    console.print("facts  " + "  ".join(f"{name}={value}" for name, value in sorted(json.loads(row["facts"]).items())))
    if pack is None:
        console.print("the pack of that time is not kept here (judged before there were packs, or forgotten)")
        return
    judged = _judged_by(pack, row, event, narrative)
    table = folded("rule", "points", "when", "why")
    conditions = {rule.id: rule.condition.source for rule in pack.rules}
    for finding in judged.verdict.findings:
        table.add_row(finding.rule, str(finding.weight), escape(conditions.get(finding.rule, "")), escape(finding.why))
    console.print(table, soft_wrap=False)
    points = sum(finding.weight for finding in judged.verdict.findings)
    prior = pack.scale.prior
    console.print(f"score = 100 / (1 + 10^(-({prior} + {points}) / 10)) = {pack.scale.score(points)}")
    if condition := judged.verdict.condition:
        console.print(f"a list entry had the last word: {condition.kind.value} by {escape(condition.author)}")
    same = _said(judged.verdict) == _said(event) and pack.hash == row["pack_hash"]
    console.print("[green]judged anew, it is the same[/]" if same else "[red]judged anew, it is another[/]")


def _said(verdict: Verdict | VerdictReached) -> tuple[object, ...]:
    return verdict.level, verdict.score, verdict.scam_type, verdict.findings, verdict.advice


def _judged_by(pack: CompiledPack, row: Row, event: VerdictReached, narrative: Seal) -> Judgement:
    """Judge by what was kept. Raises ValueError where the report cannot be read."""
    condition = condition_kept(json.loads(row["lists"])) if row["lists"] else None
    try:
        visit = visit_of(event.report, narrative)
    except SealBrokenError as error:
        raise ValueError(f"report {row['report_id']}: {error}; see NARRATIVE_KEYS") from None
    return pack.judge(json.loads(row["facts"]), visit, condition)


def backtest(
    pack: Annotated[str, typer.Option(help="Folder of a pack, or a published version.")],
    since: Annotated[str, typer.Option(help="From when: 30d, 12h or 2026-11-01T00:00:00+08:00.")],
    until: Annotated[str, typer.Option(help="Until when, likewise; default: now.")] = "0h",
    out: Annotated[Path | None, typer.Option("--json", help="File for the result as JSON.")] = None,
) -> None:
    """Replay stored reports by a pack, with the facts as they were then: what would change, and how well it judges."""
    if not pack.isdigit():
        compiled = checked(Path(pack))[1]

    async def work() -> dict[str, Any]:
        narrative = Narrative().seal()
        async with connected("rules") as connection:
            chosen = await _published(connection, int(pack)) if pack.isdigit() else compiled
            found = await _replayed(connection, chosen, narrative, moment(since), moment(until))
        result = {"pack": pack, "since": since, "until": until, **found}
        if out:
            out.write_text(json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return result

    _print_backtest(run(work))


async def _published(connection: RawConnection, version: int) -> CompiledPack:
    with faults_listed():
        return compile_pack((await stored_as(connection, version)).files)


async def _replayed(
    connection: RawConnection, pack: CompiledPack, narrative: Seal, since: datetime, until: datetime
) -> dict[str, Any]:
    tally = Tally(weights_of(pack.rules))
    total = await history_store.count_judged(connection, since, until)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("replaying", total=total)
        async for row in history_store.judged(connection, since, until):
            event = VerdictReached.model_validate_json(row["event"])
            now = _judged_by(pack, row, event, narrative).verdict
            label = label_of(row["finding"], row["disposition"], row["found_scam_type"])
            tally.add(str(row["report_id"]), Level(row["level"]), row["score"], now, label, row["scam_type"])
            progress.advance(task)
    return {"hash": pack.hash, **tally.result()}


def moment(text: str) -> datetime:
    """Read a moment: so many days or hours ago, or a date with its zone. Raises ValueError."""
    if found := SPAN.fullmatch(text):
        span = timedelta(days=int(found[1])) if found[2] == "d" else timedelta(hours=int(found[1]))
        return datetime.now(UTC) - span
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"{text} has no time zone: write {text}+08:00")
    return read


def _print_backtest(result: dict[str, Any]) -> None:
    labelled = result["labelled"]
    console.print(f"{result['reports']} reports; known to be scams {labelled['scams']}, honest {labelled['honest']}")
    changes = folded("level then", "level now", "reports")
    for one in result["levels"]:
        changes.add_row(_level(one["then"]), _level(one["now"]), str(one["reports"]))
    console.print(changes, soft_wrap=False)
    quality = folded("at alert level", "then", "now")
    for name in ("recall", "precision", "false_alerts"):
        quality.add_row(name, _number(result["then"][name]), _number(result["now"][name]))
    for one in result["types"]:
        for name in ("recall", "precision"):
            row = (_number(one[f"{name}_then"]), _number(one[f"{name}_now"]))
            quality.add_row(f"{name} {one['scam_type']} ({one['scams']})", *row)
    console.print(quality, soft_wrap=False)
    rules = folded("rule", "weight", "observed", "spoke", "in scams", "in honest")
    for one in sorted(result["rules"], key=lambda one: -one["spoke"]):
        numbers = (one["weight"], one["observed_weight"], one["spoke"], one["in_scams"], one["in_honest"])
        rules.add_row(one["rule"], *(_number(number) for number in numbers))
    console.print(rules, soft_wrap=False)


def shadow(since: Annotated[str, typer.Option(help="From when: 7d, 12h or a date with its zone.")] = "7d") -> None:
    """Show what shadow rules and the shadow pack would have said, beside what was said and what became of it."""

    async def work() -> Table:
        table = folded("would count", "level", "would be", "reports", "known scams", "known honest")
        async with connected("rules") as connection:
            for row in await history_store.shadows(connection, moment(since)):
                counts = (str(row["reports"]), str(row["scams"]), str(row["honest"]))
                table.add_row(row["of"], _level(row["level"]), _level(row["would_be"]), *counts)
        return table

    console.print(run(work), soft_wrap=False)


def _level(level: str) -> str:
    colour = {"alert": "red", "caution": "yellow"}.get(level, "green")
    return f"[{colour}]{level}[/]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
