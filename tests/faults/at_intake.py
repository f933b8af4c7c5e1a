"""The clients' log against intake's database alone, for tests that run no other service."""

import asyncpg

from tests.faults.journal import Journal, State
from tests.faults.play import Outcome


async def compared(dsn: str, journal: Journal) -> Outcome:
    """Hold that each accepted report and disposition is stored once, as it was answered, and nothing else is."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "intake"})
    try:
        reports = await connection.fetch("select id::text, bank_reference from report")
        ended = await connection.fetch("select report_id::text, amount_fen from disposition")
        promised = await connection.fetchval("select count(*) from outbox where type like '%report%'")
    finally:
        await connection.close()
    outcome = Outcome(operations=len(journal))
    ids = {row["bank_reference"]: row["id"] for row in reports}
    outcome.doubled = len(reports) - len(ids)
    for one in journal.of("report"):
        reference = one.facts["bank_reference"]
        stored = ids.pop(reference, None)
        if one.state is State.OK and stored is None:
            outcome.lost += 1
        elif stored != one.id and one.state is not State.UNKNOWN:
            outcome.broken.append(f"{reference} is stored as {stored} and was answered {one.state} {one.id}")
    if ids:
        outcome.broken.append(f"{len(ids)} reports are stored that nobody filed")
    if promised != len(reports):
        outcome.broken.append(f"{len(reports)} reports are stored with {promised} promises")
    amounts = {row["report_id"]: row["amount_fen"] for row in ended}
    for one in journal.of("disposition", State.OK):
        if amounts.get(one.facts["report_id"]) != one.facts["amount_fen"]:
            outcome.lost += 1
    return outcome


def unanswered_are_broken(journal: Journal, outcome: Outcome) -> None:
    """Hold that every client was answered with a success in the end."""
    left = [one for one in journal if one.state is not State.OK]
    if left:
        outcome.broken.append(f"{len(left)} operations were not accepted in the end, the first {left[0].state}")
