"""`lanjie rules check|diff|publish|rollback|list|show|names`: what analysts do with rule packs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from services.rules import pack_store
from services.rules.features import FEATURES
from services.rules.pack.compiled import CompiledPack
from services.rules.pack.compiling import compile_pack, names_of
from services.rules.pack.diff import differences
from services.rules.pack.files import PackRefusedError, parse, read_folder
from services.rules.pack.source import Pack, Status
from shared.command import connected, run
from shared.events import Level
from shared.postgres import RawConnection

console = Console(highlight=False, soft_wrap=True)
KINDS: Final = {bool: "bool", int: "int", str: "string"}

Folder = Annotated[Path, typer.Argument(help="Folder of the rule pack.")]
Author = Annotated[str, typer.Option(help="Who does this; recorded.")]
Note = Annotated[str, typer.Option(help="Why; recorded.")]


def checked(folder: Path) -> tuple[dict[str, str], CompiledPack]:
    """Read and compile a pack; list every fault and end with code 1 where it cannot be used."""
    with faults_listed():
        files = read_folder(folder)
        return files, compile_pack(files)


@contextmanager
def faults_listed() -> Iterator[None]:
    """List every fault of a pack that cannot be used, also of one that an older program published; end with code 1."""
    try:
        yield
    except PackRefusedError as error:
        for fault in error.faults:
            console.print(f"[red]{escape(str(fault))}[/]")
        console.print(f"{len(error.faults)} to mend; nothing was changed")
        raise typer.Exit(1) from None


def folded(*headers: str, show_lines: bool = False) -> Table:
    """Make a table whose cells are folded where the terminal is narrow, never cut."""
    return Table(*(Column(header, overflow="fold") for header in headers), show_lines=show_lines)


def check(folder: Folder) -> None:
    """Check a pack: types, names, cost, contradictions. Changes nothing."""
    _, pack = checked(folder)
    console.print(f"[green]ok[/] {_described(pack)}")


def diff(
    folder: Folder,
    against: Annotated[
        int | None, typer.Option(min=1, help="Version to compare with; default: the one that is live.")
    ] = None,
) -> None:
    """Show what a pack changes in the one that is live, or in another version."""
    files, _ = checked(folder)

    async def work() -> Pack | None:
        async with connected("rules") as connection:
            version = against or (await pack_store.in_force(connection)).get("live")
            with faults_listed():
                return parse((await stored_as(connection, version)).files)[0] if version else None

    before = run(work)
    if before is None:
        console.print("nothing is live yet; all of the pack is new")
        return
    _print_differences(before, parse(files)[0])


def publish(
    folder: Folder,
    author: Author,
    note: Note = "",
    *,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only try it beside the live one.")] = False,
) -> None:
    """Publish a pack: all replicas judge by it within two seconds."""
    files, pack = checked(folder)

    async def work() -> int:
        async with connected("rules") as connection, connection.transaction():
            version = await pack_store.store_pack(connection, pack.common.name, files, author, note)
            tried = (await pack_store.in_force(connection)).get("shadow")
            await pack_store.release(connection, "shadow" if shadow else "live", version, author, note)
            if not shadow and tried == version:
                await pack_store.release(connection, "shadow", None, author, "it is live now")
            return version

    version = run(work)
    role = "is tried in the shadow" if shadow else "is live"
    console.print(f"[green]version {version}[/] {role}: {_described(pack)}")


def rollback(
    author: Author,
    note: Note = "",
    to: Annotated[int | None, typer.Option(min=1, help="Version to go back to; default: the one before.")] = None,
    *,
    shadow: Annotated[bool, typer.Option("--shadow", help="End the shadow instead.")] = False,
) -> None:
    """Go back to the version before, or to any other; or end the shadow."""

    async def work() -> int | None:
        async with connected("rules") as connection, connection.transaction():
            version = None if shadow else to or await pack_store.version_before(connection)
            if not shadow:
                with faults_listed():
                    compile_pack((await stored_as(connection, version)).files)
            await pack_store.release(connection, "shadow" if shadow else "live", version, author, note)
            return version

    version = run(work)
    console.print("the shadow has ended" if shadow else f"[green]version {version}[/] is live again")


def list_(limit: Annotated[int, typer.Option(help="How many releases to show.")] = 20) -> None:
    """List what was published, the latest first."""

    async def work() -> Table:
        async with connected("rules") as connection:
            table = folded("released", "role", "version", "pack", "hash", "by", "note")
            for row in await pack_store.releases(connection, limit):
                released = f"{row['released_at']:%Y-%m-%d %H:%M:%S}"
                mark = "[green]in force[/] " if row["in_force"] else ""
                version = str(row["version"] or "none")
                digest = (row["hash"] or "")[:12]
                texts = (escape(row["author"] or ""), escape(row["note"] or ""))
                table.add_row(released, row["role"], mark + version, row["name"] or "", digest, *texts)
            return table

    console.print(run(work), soft_wrap=False)


def show(
    version: Annotated[int, typer.Argument(help="Version to show.")],
    out: Annotated[Path, typer.Option(help="Folder to write its files to.")],
) -> None:
    """Write the files of a published version into a folder, to change them or to compare."""

    async def work() -> pack_store.Stored:
        async with connected("rules") as connection:
            return await stored_as(connection, version)

    if out.is_dir() and any(out.iterdir()):
        console.print(f"[red]{out} is not empty: name a new folder, or files of another pack would be in this one[/]")
        raise typer.Exit(1)
    stored = run(work)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in stored.files.items():
        (out / name).write_text(text, encoding="utf-8")
    console.print(f"{len(stored.files)} files of {stored.name}@{version} are in {out}")


def names(
    folder: Annotated[Path | None, typer.Argument(help="Folder of a pack, for its own names too.")] = None,
) -> None:
    """List every name a condition may use, with type, unit, window and meaning."""
    table = folded("name", "type", "unit", "window", "meaning")
    for feature in FEATURES.values():
        table.add_row(feature.name, KINDS[type(feature.default)], feature.unit, feature.window, feature.meaning)
    if folder:
        _, compiled = checked(folder)
        pack = parse(read_folder(folder))[0]
        meanings = {f"cue.{cue}": words for cue, words in pack.common.cues.items()}
        meanings |= {
            f"says.{name}": phrase.means for file in pack.files.values() for name, phrase in file.phrases.items()
        }
        for name, default in names_of(pack).items():
            if name not in FEATURES:
                table.add_row(name, KINDS[type(default)], "", "", meanings.get(name, TEXT_NAMES.get(name, "")))
        assert compiled.names == names_of(pack)
    console.print(table, soft_wrap=False)


TEXT_NAMES: Final = {
    "text.points": "Evidence of the text model that the note reads like a scam, in decibans; 0 without a model",
    "text.scam_type": "The scam type the text model finds likeliest; empty where it finds none",
    "text.note_length": "Characters of the note, without spaces and symbols; 0 where the teller wrote none",
}


async def stored_as(connection: RawConnection, version: int | None) -> pack_store.Stored:
    """Return a published pack. Raises ValueError where there is none."""
    if version is None:
        raise ValueError("nothing to go back to")
    found = await pack_store.stored(connection, version)
    if found is None:
        raise ValueError(f"there is no version {version}; see `lanjie rules list`")
    return found


def _described(pack: CompiledPack) -> str:
    active = sum(rule.said.status is Status.ACTIVE for rule in pack.rules)
    shadow = len(pack.rules) - active
    tried = f", {shadow} in the shadow" if shadow else ""
    alone = next((points for points in range(41) if pack.scale.level(pack.scale.score(points)) is Level.ALERT), None)
    reach = f"; {alone} points make an alert" if alone is not None else ""
    return f"{pack.common.name} {pack.hash[:12]}: {active} rules{tried}, {len(pack.lexicon.phrases)} phrases{reach}"


def _print_differences(before: Pack, after: Pack) -> None:
    found = differences(before, after)
    if not found:
        console.print("no difference")
        return
    table = folded("", "kind", "name", "was", "is", show_lines=True)
    for one in found:
        sign = "[green]+[/]" if one.before is None else "[red]-[/]" if one.after is None else "[yellow]~[/]"
        table.add_row(sign, one.kind, one.name, escape(one.before or ""), escape(one.after or ""))
    console.print(table, soft_wrap=False)
