"""SQL for looking at dead letters and for what is done about them: one query a function, sets in, sets out."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.dead_letters import LetterState, ReasonClass
from shared.postgres import AnyConnection, Row

FIELDS = """
    id, topic, partition_number, offset_number, sha256, reason, reason_class, state, attempts, parked_at, changed_at,
    sealed
"""


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters are meant: those that fit all that is said. `ids` may be the first characters of an id."""

    ids: Sequence[str] = ()
    state: LetterState | None = None
    reason_class: ReasonClass | None = None
    topic: str | None = None


async def letters(connection: AnyConnection, which: Which, most: int) -> list[Row]:
    """Return letters, those that were parked last first."""
    return await connection.fetch(
        f"""
        select {FIELDS} from dead_letter
        where (cardinality($1::text[]) = 0
               or exists (select from unnest($1::text[]) as begins where starts_with(id::text, begins)))
          and ($2::text is null or state = $2) and ($3::text is null or reason_class = $3)
          and ($4::text is null or topic = $4)
        order by parked_at desc, id desc limit $5
        """,  # noqa: S608 - constant field list
        [one.lower() for one in which.ids],
        which.state and which.state.value,
        which.reason_class and which.reason_class.value,
        which.topic,
        most,
    )


async def end(connection: AnyConnection, ids: Sequence[UUID], state: LetterState, actor: str, why: str) -> list[Row]:
    """Write that parked letters were replayed or dropped, by whom and why; return those that were parked."""
    return await connection.fetch(
        f"""
        with ended as (
            update dead_letter set state = $2, changed_at = now()
            where id in (
                select id from dead_letter where id = any($1::uuid[]) and state = 'parked' order by id for update
            )
            returning {FIELDS}
        ),
        told as (
            insert into dead_letter_step (letter_id, action, actor, why) select id, $2, $3, $4 from ended order by id
        )
        select * from ended order by parked_at, id
        """,  # noqa: S608 - constant field list
        list(ids),
        state.value,
        actor,
        why,
    )


async def steps(connection: AnyConnection, letter_id: UUID) -> list[Row]:
    """Return what was done about a letter, in order."""
    return await connection.fetch(
        "select at, action, actor, why from dead_letter_step where letter_id = $1 order by id", letter_id
    )


async def has_letters(connection: AnyConnection, schemas: Sequence[str]) -> list[str]:
    """Return those of the schemas that have dead letters."""
    rows = await connection.fetch(
        "select s as schema from unnest($1::text[]) as s where to_regclass(s || '.dead_letter') is not null",
        list(schemas),
    )
    return [row["schema"] for row in rows]
