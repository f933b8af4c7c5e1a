"""notifier's SQL for one-time links: whom one was sent to and about what, and which have been used."""

from uuid import UUID

from shared.postgres import Connection, Pool, Row


async def sent(connection: Connection | Pool, delivery_id: UUID) -> Row | None:
    """Return what a link is about: delivery and case, whether it was used, the officer it was sent to.

    Nothing where it was not sent to an officer, or to one who may decide no longer or sees the case no longer, or to
    an address that was removed since: a phone may be lost.
    """
    return await connection.fetchrow(
        """
        select d.case_id, d.facts, c.status, c.acknowledged_at, taker.name as acknowledged_by,
               l.delivery_id is not null as used,
               o.id, o.name, o.unit, o.role, u.path, u.level
        from delivery d
        join target t on t.id = d.target_id and t.removed_at is null
        join officer o on o.id = t.officer and o.revoked_at is null and o.role <> 'auditor'
        join unit u on u.code = o.unit
        join fraud_case c on c.id = d.case_id
        left join officer taker on taker.id = c.acknowledged_by
        left join link_used l on l.delivery_id = d.id
        where d.id = $1 and d.type = 'lanjie.alert.v1'
          and exists (select from case_unit v where v.case_id = d.case_id and starts_with(v.path, u.path))
        """,
        delivery_id,
    )


async def use(connection: Connection, delivery_id: UUID, case_id: UUID, officer_id: UUID) -> bool:
    """Record that a link acknowledges. Return whether it is its first time."""
    done = await connection.fetchval(
        """
        insert into link_used (delivery_id, case_id, officer) values ($1, $2, $3)
        on conflict (delivery_id) do nothing returning true
        """,
        delivery_id,
        case_id,
        officer_id,
    )
    return bool(done)
