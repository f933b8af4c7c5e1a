"""Orders as their bank pulls them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.intake import hearing
from shared.events import OrderChanged, OrderKind, OrderStatus
from shared.outbox import new_id
from tests.parts import Door, bank
from tests.service.intake.counter import PEOPLE, an_order, no_trace, ordered, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def pulled(door: Door, code: str, **query: object) -> list[dict[str, Any]]:
    """The orders that a bank is shown."""
    answer = await door.client.get(
        "/v1/orders", params={name: str(value) for name, value in query.items()}, headers=bank(code)
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["orders"]
    return found


def ids(orders: list[dict[str, Any]]) -> list[UUID]:
    return [UUID(order["id"]) for order in orders]


async def looks(door: Door, subject: UUID) -> list[tuple[str, str]]:
    """Who is recorded to have looked at the people in an order, and how."""
    rows = await door.rows("select actor, action from audit where subject = $1 order by id", subject)
    return [(row["actor"], row["action"]) for row in rows]


async def test_an_order_is_shown_with_everything_its_bank_needs_to_execute_it(shared: Door) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=2)
    order = await ordered(shared, scam_type="impersonating_authority", expires_at=expires_at)
    answer = await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))
    assert answer.status_code == 200
    told = answer.json()
    times = {name: datetime.fromisoformat(told.pop(name)) for name in list(told) if name.endswith("_at")}
    assert times == {
        "transfer_at": order.transfer_at,
        "ordered_at": order.ordered_at,
        "starts_at": order.starts_at,
        "expires_at": expires_at,
    }
    assert told == {
        "id": str(order.order_id),
        "kind": "stop",
        "status": "pending",
        "version": 1,
        "case_id": str(order.case_id),
        "application_type": "02",
        "original_application_id": str(order.original_application_id),
        "emergency_level": "02",
        "scam_type": "impersonating_authority",
        "amount_fen": 9_800_000,
        "currency": "CNY",
        "account_level": 1,
        "acts_on": None,
        "term_months": None,
        "scope": None,
        "includes_proceeds": None,
        "notice_number": None,
        "unit": "SZ-LH-CZ",
        "officer_id": None,
        "co_officer": None,
        "traceparent": None,
        **PEOPLE,
    }


async def test_a_freeze_is_shown_with_its_notice_and_what_it_acts_on(shared: Door) -> None:
    stop_id = new_id()
    freeze = {"term_months": 6, "scope": "amount", "includes_proceeds": False, "notice_number": "深公（罗）冻字1号"}
    order = await ordered(shared, kind=OrderKind.FREEZE, acts_on=stop_id, account_level=2, **freeze)
    told = (await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))).json()
    assert {name: told[name] for name in freeze} == freeze
    assert (told["acts_on"], told["account_level"]) == (str(stop_id), 2)


async def test_the_list_shows_an_order_as_the_single_look_does(shared: Door) -> None:
    order = await ordered(shared, bank="PSBC")
    [listed] = await pulled(shared, "PSBC")
    single = await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("PSBC"))
    assert listed == single.json()


async def test_a_foreign_order_looks_exactly_like_an_absent_one(shared: Door) -> None:
    order = await ordered(shared)
    async with no_trace(shared):
        foreign, absent = [
            await shared.client.get(f"/v1/orders/{one}", headers=bank()) for one in (order.order_id, new_id())
        ]
    assert problem_of(foreign, 404) == problem_of(absent, 404)
    assert await looks(shared, order.order_id) == []


async def test_a_bank_is_shown_its_own_orders_oldest_first(shared: Door) -> None:
    given = [await ordered(shared, bank=("ABC", "BOC")[number % 2]) for number in range(6)]
    assert ids(await pulled(shared, "ABC")) == [order.order_id for order in given[::2]]
    assert ids(await pulled(shared, "BOC")) == [order.order_id for order in given[1::2]]


async def test_orders_are_listed_by_their_status(shared: Door) -> None:
    given = {status: await ordered(shared, bank="CMB", status=status) for status in OrderStatus}
    for status, order in given.items():
        assert ids(await pulled(shared, "CMB", status=status.value)) == [order.order_id]
    assert ids(await pulled(shared, "CMB")) == [order.order_id for order in given.values()]


async def test_a_long_list_is_turned_page_by_page(shared: Door) -> None:
    given = [(await ordered(shared, bank="ICBC")).order_id for _ in range(7)]
    pages: list[list[UUID]] = []
    after: dict[str, str] = {}
    while page := await pulled(shared, "ICBC", limit=3, status="pending", **after):
        pages.append(ids(page))
        after = {"after": page[-1]["id"]}
    assert pages == [given[:3], given[3:6], given[6:]]


@pytest.mark.parametrize(
    "query", ["status=done", "status=", "after=7", "limit=0", "limit=501", "limit=many", "limit=-1"]
)
async def test_a_list_asked_for_wrongly_is_refused(shared: Door, query: str) -> None:
    document = problem_of(await shared.client.get(f"/v1/orders?{query}", headers=bank("CCB")), 422)
    assert document["errors"][0]["field"] == f"query.{query.partition('=')[0]}"


async def test_each_look_at_the_people_in_an_order_is_recorded(shared: Door) -> None:
    order, other = await ordered(shared, case_id=new_id()), await ordered(shared, bank="PSBC")
    before = len(await looks(shared, order.order_id))
    await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))
    await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))
    await pulled(shared, "CCB")
    assert await looks(shared, order.order_id) == [("bank:CCB", "order_shown")] * (before + 3)
    assert await looks(shared, other.order_id) == []


async def test_a_look_at_an_empty_list_records_nothing(shared: Door) -> None:
    before = await shared.count("audit")
    assert await pulled(shared, "CCB", after="ffffffff-ffff-7fff-bfff-ffffffffffff") == []
    assert await shared.count("audit") == before


async def test_an_order_is_shown_in_its_newest_version(shared: Door) -> None:
    order = await ordered(shared)
    newer = again(order, version=3, status=OrderStatus.EXECUTED)
    older = again(order, version=2, status=OrderStatus.FAILED)
    for changed in ([newer], [older], [order], [older, order]):
        await hearing.hear(shared.pool, changed)
        told = (await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))).json()
        assert (told["version"], told["status"]) == (3, "executed")


def again(order: OrderChanged, **changes: object) -> OrderChanged:
    return order.model_copy(update=changes)


async def test_of_two_versions_that_come_together_the_newer_is_kept(shared: Door) -> None:
    order = an_order()
    await hearing.hear(shared.pool, [again(order, version=2, status=OrderStatus.EXECUTED), order])
    told = (await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))).json()
    assert (told["version"], told["status"]) == (2, "executed")


@pytest.mark.parametrize("kind", OrderKind)
async def test_every_kind_of_order_is_shown(shared: Door, kind: OrderKind) -> None:
    order = await ordered(shared, kind=kind)
    told = (await shared.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB"))).json()
    assert told["kind"] == kind.value
