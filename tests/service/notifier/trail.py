"""Following the money: stops whose banks say where it went, and the accounts further on."""

from typing import Any, cast
from uuid import UUID

from tests.parts import TOKENS, Door
from tests.service.notifier.builders import a_success, hear
from tests.service.notifier.police import case_of, ordered


async def stopped(door: Door, case_id: str, *onward: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Order a stop; its bank holds 1 yuan and says that the rest has moved on. Return the order."""
    order = await ordered(door, case_id, **more)
    await hear(door.pool, a_success(order, stopped_fen=100, onward=onward))
    return order


async def accounts_of(door: Door, case_id: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", (await case_of(door, case_id))["accounts"])


async def followed(door: Door, case_id: str, account: str) -> str:
    """The id by which an order names an account further on."""
    rows = await door.rows(
        "select id from onward_account where case_id = $1 and token = $2 order by id limit 1",
        UUID(case_id),
        TOKENS.of("account", account),
    )
    return str(rows[0]["id"])
