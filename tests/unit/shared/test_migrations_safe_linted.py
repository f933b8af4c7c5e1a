"""What is objected to in a migration, what is excused, and that an excuse nobody needs is one too many."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pytest

from tests.migrations.__main__ import EXCUSED, ROOT, excuses, migrations, objections

UNHEARD_OF: Final = {"everywhere": {"require-lock-timeout", "require-statement-timeout"}}
NAME: Final = "services/intake/migrations/20270101000001_more.sql"


def objected(
    root: Path, up: str, down: str = "", head: str = "-- migrate:up", excused: Collection[str] = ()
) -> list[str]:
    """Return which rules are broken by a migration, or excused though they are not."""
    path = root / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head}\n\n{up}\n\n-- migrate:down\n\n{down}\n", encoding="utf-8")
    found = objections(root, migrations(root), {**UNHEARD_OF, NAME: set(excused)})
    return [line.removeprefix(f"{NAME}:").strip() for line in found]


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("create index report_by_bank on report (bank);", "require-concurrent-index-creation"),
        ("alter table report add column unit text not null;", "adding-required-field"),
        ("alter table report rename column bank to bank_code;", "renaming-column"),
        ("alter table report drop column bank;", "ban-drop-column"),
        ("alter table report alter column amount_fen type numeric;", "changing-column-type"),
        ("alter table report add constraint some check (amount_fen > 1);", "constraint-missing-not-valid"),
        ("drop table report;", "ban-drop-table"),
    ],
)
def test_what_would_hold_up_or_break_the_services_at_work_is_objected_to(
    tmp_path: Path, statement: str, rule: str
) -> None:
    [said] = objected(tmp_path, statement)
    assert said.startswith(f"3: {rule}: ")


@pytest.mark.parametrize(
    "statement",
    [
        "alter table report add column unit text;",
        "alter table report add column tries bigint not null default 0;",
        "alter table report add constraint some check (amount_fen > 1) not valid;",
        "create table more (id uuid primary key, at timestamptz not null);\ncreate index more_at on more (at);",
    ],
)
def test_what_only_adds_passes(tmp_path: Path, statement: str) -> None:
    assert objected(tmp_path, statement, down="drop table report;") == []


def test_an_index_on_a_table_at_work_is_built_beside_the_work_and_outside_a_transaction(tmp_path: Path) -> None:
    index = "create index concurrently if not exists report_by_bank on report (bank);"
    assert objected(tmp_path, index, head="-- migrate:up transaction:false") == []
    [said] = objected(tmp_path, "select 1;\n" + index)
    assert "ban-concurrent-index-creation-in-transaction" in said


def test_rows_are_not_written_while_a_table_is_held(tmp_path: Path) -> None:
    column, rows = "alter table bank add column at timestamptz;", "update bank set at = now();"
    [said] = objected(tmp_path, f"{column}\n\n{rows}")
    assert said.startswith("5: rows-under-a-lock: ")
    assert objected(tmp_path, rows, down=column) == []


def test_an_excuse_that_nothing_needs_is_objected_to(tmp_path: Path) -> None:
    column = "alter table report drop column bank;"
    assert objected(tmp_path, column, excused={"ban-drop-column"}) == []
    [said] = objected(tmp_path, column, excused={"ban-drop-column", "ban-drop-table"})
    assert said == "nothing needs the excuse of ban-drop-table any more"


def test_every_migration_passes_or_is_excused_with_a_reason() -> None:
    assert objections(ROOT, migrations(ROOT), excuses(EXCUSED)) == []
