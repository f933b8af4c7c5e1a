"""notifier's SQL for what is pushed to banks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class Push:
    """A message for all targets of a bank."""

    message_id: UUID
    bank: str
    case_id: UUID
    facts: dict[str, Any]


async def insert_pushes(connection: Connection, pushes: Sequence[Push], message_type: str, after: timedelta) -> None:
    """Add a delivery of each message for each target of its bank, due after a while."""
    if not pushes:
        return
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, type, facts, state, created_at, due_at)
        select gen_random_uuid(), u.message_id, t.id, u.case_id, $5, u.facts, 'pending', now(), now() + $6
        from unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[]) as u (message_id, bank, case_id, facts)
        join target t on t.bank = u.bank and t.removed_at is null
        """,
        [push.message_id for push in pushes],
        [push.bank for push in pushes],
        [push.case_id for push in pushes],
        [json.dumps(push.facts, ensure_ascii=False) for push in pushes],
        message_type,
        after,
    )
