"""Where one report's way is read: the services' databases, as many as can be reached, and what each knows."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg

from services import dead_places, trace_store
from services.dead_places import SERVICES
from services.trace_steps import Known, Letter
from shared import dead_letter_store
from shared.dead_letters import opened
from shared.postgres import RawConnection, Row
from shared.privacy import Seal, SealBrokenError
from shared.settings import told

CONNECT_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 60.0
AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

Connections = dict[str, RawConnection]


@asynccontextmanager
async def reached(missing: dict[str, str]) -> AsyncIterator[Connections]:
    """Connect to the services' databases; write down in `missing` which could not be reached, and why.

    Raises `ValueError` where nothing says where they are.
    """
    connections: Connections = {}
    async with AsyncExitStack() as stack:
        for service, dsn in (await _addresses(missing)).items():
            try:
                connection = await asyncpg.connect(
                    dsn,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                    server_settings={"search_path": service, "default_transaction_read_only": "on"},
                )
            except AWAY as error:
                missing[service] = f"its database is away ({type(error).__name__})"
            else:
                stack.push_async_callback(connection.close)
                connections[service] = connection
        yield connections


async def _addresses(missing: dict[str, str]) -> dict[str, str]:
    """Return where each service's schema is: DATABASE_URL may hold several addresses, with spaces between."""
    urls = told("DATABASE_URL")
    if urls is None:
        return {place.service: place.dsn for place in await dead_places.places()}
    found: dict[str, str] = {}
    for number, dsn in enumerate(urls.split(), 1):
        try:
            connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
        except AWAY as error:
            missing[f"address {number} of DATABASE_URL"] = f"is away ({type(error).__name__})"
            continue
        try:
            found |= dict.fromkeys(await dead_letter_store.has_letters(connection, SERVICES), dsn)
        finally:
            await connection.close()
    missing |= {service: "is at no address that was reached" for service in SERVICES if service not in found}
    return found


async def known_of(connections: Connections, missing: dict[str, str], report: str, bank: str | None) -> Known:
    """Gather what is known of a report, by its id or by a bank and its reference. Raises `ValueError` for none."""
    filed = None
    if bank is not None:
        if "intake" not in connections:
            raise ValueError("only intake knows the banks' references: give the report's id while its database is away")
        filed = await trace_store.filed_as(connections["intake"], bank, report)
        if filed is None:
            raise ValueError(f"{bank} has filed no report under that reference")
    report_id = filed["id"] if filed else _uuid(report)
    known = Known(str(report_id), filed, missing=missing)
    if intake := connections.get("intake"):
        known.filed = filed or await trace_store.filed(intake, report_id)
    if rules := connections.get("rules"):
        known.verdicts = await trace_store.verdicts(rules, report_id)
    if notifier := connections.get("notifier"):
        await _of_notifier(notifier, known, report_id)
    if not (known.filed or known.verdicts or known.counted):
        raise ValueError("no database that was reached knows this report")
    await _of_the_case(connections, known)
    return known


async def _of_notifier(notifier: RawConnection, known: Known, report_id: UUID) -> None:
    known.counted = await trace_store.counted(notifier, report_id)
    case_id = known.counted["case_id"] if known.counted else None
    known.booked = await trace_store.booked(notifier, report_id, case_id)
    if case_id:
        known.alerts = await trace_store.alerts(notifier, report_id, case_id)
        known.pushes = await trace_store.pushes(notifier, case_id)
        known.orders = await trace_store.orders(notifier, case_id)
        known.timeline = await trace_store.timeline(notifier, case_id)
        known.deadlines = await trace_store.deadlines(notifier, case_id)


async def _of_the_case(connections: Connections, known: Known) -> None:
    """Ask intake and rules what became of the case, and all three what they still owe."""
    cases = {row["case_id"] for row in (known.filed, known.counted) if row and row["case_id"]}
    orders = [row["id"] for row in known.orders]
    outcomes = [known.counted["outcome_id"]] if known.counted and known.counted["outcome_id"] else []
    if intake := connections.get("intake"):
        known.at_the_bank = await trace_store.at_the_bank(intake, orders, sorted(cases))
    if rules := connections.get("rules"):
        known.became = await trace_store.became(rules, outcomes)
    ids = [UUID(known.report_id), *(row["id"] for row in known.verdicts), *orders, *outcomes]
    ids += [known.filed["disposition_id"]] if known.filed and known.filed["disposition_id"] else []
    ids += [row[name] for row in known.at_the_bank for name in ("feedback_id", "contradiction_id") if row[name]]
    for service, connection in connections.items():
        rows = await trace_store.owed(connection, ids, [str(one) for one in cases])
        known.owed += [(service, row) for row in rows]
    await _letters(connections, known, {str(one) for one in (*ids, *cases)})


async def _letters(connections: Connections, known: Known, ids: set[str]) -> None:
    """Find dead letters that name the report, its case, its orders, or its trace."""
    rows = [(service, row) for service, one in connections.items() for row in await trace_store.letters(one)]
    if not rows:
        return
    try:
        seal = dead_places.seal()
    except (ValueError, KeyError):
        known.missing["dead letters"] = f"{len(rows)} are sealed: set NARRATIVE_KEYS to look into them"
        return
    words = {one.encode() for one in ids}
    if trace := known.traceparent()[3:35]:
        words.add(trace.encode())
    for service, row in rows:
        if _names(row, seal, words):
            letter = Letter(service, str(row["id"]), row["topic"], row["reason"], row["state"], row["parked_at"])
            known.letters.append(letter)


def _names(row: Row, seal: Seal, words: set[bytes]) -> bool:
    try:
        letter = opened(row["sealed"], row["id"], seal)
    except SealBrokenError:
        return False
    texts = (letter.key, letter.value, *(value for _, value in letter.headers))
    return any(word in text for text in texts if text for word in words)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("that is no report's id; to look by a bank's own reference add --bank CODE") from None
