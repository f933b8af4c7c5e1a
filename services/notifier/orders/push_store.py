"""notifier's SQL for what is pushed to banks."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.postgres import Connection


async def insert_pushes(
    connection: Connection,
    message_id: UUID,
    bank: str,
    case_id: UUID,
    message_type: str,
    facts: dict[str, Any],
    after: timedelta,
) -> None:
    """Add a delivery of one message for each target of a bank, due after a while."""
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, type, facts, state, created_at, due_at)
        select gen_random_uuid(), $1, id, $3, $4, $5::jsonb, 'pending', now(), now() + $6
        from target where bank = $2 and removed_at is null
        """,
        message_id,
        bank,
        case_id,
        message_type,
        json.dumps(facts, ensure_ascii=False),
        after,
    )
