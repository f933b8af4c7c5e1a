"""`lanjie rules lists …`: payees and payers who are to be stopped or let through, whatever the rules say.

Account numbers are turned into tokens here, by the command, with the key of intake; what is stored and what
the judge sees is the token alone.
"""

import base64
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TextIO
from uuid import UUID, uuid5

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.rules import list_store
from services.rules.commands.packs import folded
from services.rules.conditions import ConditionKind, Subject
from services.rules.list_store import Entry
from shared.command import connected, run
from shared.outbox import new_id
from shared.privacy import Tokens
from shared.settings import Told

commands = typer.Typer(help="Watch-listed and trusted accounts.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)

COLUMNS: Final = ("subject", "account", "condition", "reason")
OPTIONAL: Final = ("scam_type", "starts_at", "expires_at")
MOST_LINES: Final = 100_000
NAMESPACE: Final = UUID("0194f0a0-5c1e-7a4e-9d8b-6c616e6a6965")

Author = Annotated[str, typer.Option(help="Who answers for this; recorded.")]


class TokenKey(Told):
    """The key that makes tokens: the same as intake's."""

    token_key: str

    def tokens(self) -> Tokens:
        """Return the maker of tokens."""
        return Tokens(base64.b64decode(self.token_key, validate=True))


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that cannot be taken, and why."""

    line: int
    reason: str


@commands.command("add")
def add(
    account: Annotated[str, typer.Option(help="Account number.")],
    condition: Annotated[ConditionKind, typer.Option(help="What it does; in order of precedence.")],
    reason: Annotated[str, typer.Option(help="Why; shown to tellers.")],
    author: Author,
    subject: Annotated[Subject, typer.Option(help="Whether it is the payee's or the payer's account.")] = Subject.PAYEE,
    scam_type: Annotated[str, typer.Option(help="Scam type, if known.")] = "",
    expires: Annotated[str, typer.Option(help="Until when, as 2027-01-01T00:00:00+08:00; default: until ended.")] = "",
) -> None:
    """Put one account on a list; it counts within two seconds."""
    row = {"subject": subject.value, "account": account, "condition": condition.value, "reason": reason}
    row |= {"scam_type": scam_type, "expires_at": expires}

    async def work() -> UUID:
        entry = _entry(row, author, TokenKey().tokens(), datetime.now(UTC), new_id())
        if isinstance(entry, str):
            raise ValueError(entry)  # noqa: TRY004 - what the analyst wrote is wrong, not its type
        async with connected("rules") as connection, connection.transaction():
            await list_store.add_entries(connection, [entry])
        return entry.id

    console.print(f"[green]entry {run(work)}[/] is in force")


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header: " + ", ".join(COLUMNS))], author: Author
) -> None:
    """Import entries from CSV, with a report on each line that cannot be taken. The same file twice adds nothing."""

    async def work() -> tuple[int, int, list[Refused]]:
        tokens = TokenKey().tokens()
        with file.open(encoding="utf-8-sig", newline="") as text:
            read = list(read_entries(text, author, tokens, datetime.now(UTC)))
        entries = [one for one in read if isinstance(one, Entry)]
        async with connected("rules") as connection, connection.transaction():
            added = await list_store.add_entries(connection, entries) if entries else 0
        return added, len(entries), [one for one in read if isinstance(one, Refused)]

    added, taken, refused = run(work)
    for one in refused:
        console.print(f"[red]{escape(file.name)}:{one.line}[/] {escape(one.reason)}")
    console.print(f"{added} added, {taken - added} there already, {len(refused)} refused")
    if refused:
        raise typer.Exit(1)


def read_entries(text: TextIO, author: str, tokens: Tokens, now: datetime) -> Iterator[Entry | Refused]:
    """Read a CSV; yield an entry or a refusal for each line. An entry's id comes of what it says."""
    rows = csv.DictReader(text, strict=True)
    read = 0  # lines, the last whole row's included
    try:
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            yield Refused(1, f"the header has no {', '.join(missing)}; it is {','.join((*COLUMNS, *OPTIONAL))}")
            return
        for row in rows:
            read = rows.line_num
            if read > MOST_LINES:
                yield Refused(read, f"more than {MOST_LINES} lines; split the file")
                return
            entry = _entry(row, author, tokens, now, None) if None not in row else "has more cells than the header"
            yield Refused(read, entry) if isinstance(entry, str) else entry
    except csv.Error as error:
        yield Refused(read + 1, f"is not CSV, here or soon after: {error}; no more was read")
    except UnicodeDecodeError:
        yield Refused(read + 1, "is not UTF-8, here or soon after: save the file as UTF-8; no more was read")


def _entry(
    row: Mapping[str, str | None], author: str, tokens: Tokens, now: datetime, entry_id: UUID | None
) -> Entry | str:
    """Read one line; return what is wrong with it where it cannot be taken."""
    cells = {name: (value or "").strip() for name, value in row.items()}
    account = cells["account"].replace(" ", "")
    wrong = {
        f"subject is {cells['subject']!r}; it is one of {', '.join(Subject)}": cells["subject"] not in set(Subject),
        f"condition is {cells['condition']!r}; it is one of {', '.join(ConditionKind)}": cells["condition"]
        not in set(ConditionKind),
        "account is not a number": not (account.isascii() and account.isalnum()),
        "reason is empty; tellers and police are shown it": not cells["reason"],
    }
    if reasons := [reason for reason, applies in wrong.items() if applies]:
        return "; ".join(reasons)
    try:
        starts_at, expires_at = _moment(cells.get("starts_at")) or now, _moment(cells.get("expires_at"))
    except ValueError as error:
        return str(error)
    if expires_at and expires_at <= max(starts_at, now):
        return "expires_at is past, or not after starts_at"
    token = tokens.of("account", account)
    said = "/".join((token, *(cells.get(name, "") for name in ("subject", "condition", "reason", *OPTIONAL))))
    return Entry(
        entry_id or uuid5(NAMESPACE, said),
        Subject(cells["subject"]),
        token,
        ConditionKind(cells["condition"]),
        cells.get("scam_type") or None,
        cells["reason"],
        author,
        starts_at,
        expires_at,
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is not a time; write 2027-01-01T00:00:00+08:00") from None
    if read.tzinfo is None:
        raise ValueError(f"{text} has no time zone: write {text}+08:00")
    return read


@commands.command("end")
def end(
    author: Author,
    entry: Annotated[UUID | None, typer.Option(help="Id of the entry.")] = None,
    account: Annotated[str, typer.Option(help="Or: account number, to end all its entries.")] = "",
) -> None:
    """End an entry, or all of an account. Entries are never deleted."""

    async def work() -> int:
        if not entry and not account:
            raise ValueError("name an --entry or an --account")
        token = TokenKey().tokens().of("account", account.replace(" ", "")) if account else None
        async with connected("rules") as connection:
            ids = [entry] if entry else []
            return await list_store.end_entries(connection, author, datetime.now(UTC), ids=ids, token=token)

    console.print(f"{run(work)} ended")


@commands.command("list")
def list_(
    limit: Annotated[int, typer.Option(help="How many to show.")] = 50,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended or expired.")] = False,
) -> None:
    """List entries, the latest first."""

    async def work() -> Table:
        table = folded("entry", "subject", "condition", "reason", "by", "from", "until", "ended")
        table.columns[0].no_wrap = True  # it is to be copied
        async with connected("rules") as connection:
            for row in await list_store.entries(connection, None if all_ else datetime.now(UTC), limit):
                until = f"{row['expires_at']:%Y-%m-%d %H:%M}" if row["expires_at"] else ""
                ended = f"{row['ended_at']:%Y-%m-%d %H:%M} {row['ended_by']}" if row["ended_at"] else ""
                by, since = f"{row['author']} ({row['source']})", f"{row['starts_at']:%Y-%m-%d %H:%M}"
                table.add_row(
                    str(row["id"]), row["subject"], row["condition"], escape(row["reason"]), by, since, until, ended
                )
        return table

    console.print(run(work), soft_wrap=False)
