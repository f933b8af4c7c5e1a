"""What the judge makes of findings, for tests that let them come in any order."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

from shared.postgres import Pool
from tests.service.rules.builders import NOW, a_filed_report, known

LATER = NOW + timedelta(hours=1)
LATEST = NOW + timedelta(hours=2)
TABLES = ("outcome", "aftermath", "list_entry", "sighting")


async def standing(pool: Pool, payee: str) -> tuple[object, ...]:
    facts = await known(pool, a_filed_report(payee_token=payee), at=LATEST)
    return tuple(facts[f"payee.{name}"] for name in ("confirmed", "unfounded", "watched", "scam_type"))


async def everything(pool: Pool) -> list[list[dict[str, object]]]:
    return [[dict(row) for row in await pool.fetch(f"select * from {table} order by 1")] for table in TABLES]


def all_orders() -> Sequence[tuple[int, ...]]:
    return list(permutations(range(3)))
