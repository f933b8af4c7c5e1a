"""notifier's SQL for deadlines: one query a function, sets in, sets out. Whoever changes one holds its case's lock."""

from collections.abc import Sequence
from uuid import UUID

from services.notifier.clock import Deadline, Stage
from shared.outbox import new_id
from shared.postgres import Connection


async def start(connection: Connection, deadlines: Sequence[Deadline]) -> None:
    """Start deadlines; one that runs already goes on as it is."""
    await connection.execute(
        """
        insert into deadline (id, case_id, stage, subject, step, due_at)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::integer[], $6::timestamptz[])
        on conflict do nothing
        """,
        [new_id() for _ in deadlines],
        [one.case_id for one in deadlines],
        [one.stage.value for one in deadlines],
        [one.subject for one in deadlines],
        [one.step for one in deadlines],
        [one.due_at for one in deadlines],
    )


async def meet(
    connection: Connection, case_ids: Sequence[UUID], stages: Sequence[Stage], subjects: Sequence[UUID] | None = None
) -> None:
    """End the running deadlines of these stages, about these subjects where any are named: what was due is done."""
    await connection.execute(
        """
        update deadline set state = 'met', ended_at = now()
        where case_id = any($1::uuid[]) and state = 'running' and stage = any($2::text[])
          and ($3::uuid[] is null or subject = any($3::uuid[]))
        """,
        list(case_ids),
        [stage.value for stage in stages],
        None if subjects is None else list(subjects),
    )
