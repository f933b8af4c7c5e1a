"""Locks on payees, so that a report being judged and a finding arriving at once cannot miss each other."""

from collections.abc import Iterable
from typing import Final

from shared.postgres import AnyConnection

LOCKS: Final = 4096
"""The server's table of locks is small: payees share these, and seldom wait for another's sake."""


async def lock_payees(connection: AnyConnection, tokens: Iterable[str], *, exclusive: bool) -> None:
    """Lock payees until the transaction ends. Take them first, and all at once.

    Judging takes them shared: reports do not wait for each other. Whatever becomes known about a payee takes
    them exclusively: it is either committed before a report on that payee is judged, or finds that report.
    """
    lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await connection.execute(
        f"""
        select {lock}(key) from (
            select distinct hashtextextended(token, 0) & ($2::bigint - 1) as key from unnest($1::text[]) as token
            order by key
        ) keys
        """,  # noqa: S608 - one of two names
        list(tokens),
        LOCKS,
    )
