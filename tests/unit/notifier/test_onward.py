"""Where money moves on to: what a bank's answer tells, and the tree of accounts it makes."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.orders import onward, tracing
from services.notifier.orders.holds import Hold
from services.notifier.orders.onward import Moved
from services.notifier.orders.order import Standing
from services.notifier.orders.tracing import AccountNode, Start, Traced
from shared.events import AccountType, OrderChanged, OrderKind, OrderStatus
from shared.privacy import SealBrokenError
from tests.parts import IDENTITY, TOKENS
from tests.unit.notifier.facts import NOON, a_case, an_order, executed, feedback

ROOT = Start(UUID(int=1), "A", 1, "CCB", {"name": "蒙**", "account": "****2026", "bank_code": "CCB"})


def moved(parent: str, token: str, amount_fen: int = 100, minute: int = 0, **changes: Any) -> Moved:  # noqa: ANN401
    facts: dict[str, Any] = {
        "id": uuid4(),
        "case_id": ROOT.id,
        "order_id": uuid4(),
        "parent": parent,
        "token": token,
        "level": 2,
        "bank": "ABC",
        "mask": {"name": token, "account": "****2048", "bank_code": "ABC"},
        "sealed": "",
        "amount_fen": amount_fen,
        "transferred_at": NOON + timedelta(minutes=minute),
        "told_at": NOON,
        "nth": 1,
    }
    return Moved(**(facts | changes))


def walked(*transfers: Moved) -> list[AccountNode]:
    return tracing.tree([ROOT], transfers, NOON)


def drawn(nodes: Sequence[AccountNode]) -> list[tuple[str, str | None, int]]:
    """Each account with the one it hangs from and its level; the first account is A."""
    name = {node.id: node.mask["name"] if node.parent else "A" for node in nodes}
    return [(name[node.id], name[node.parent] if node.parent else None, node.level) for node in nodes]


def test_money_that_has_not_moved_on_leaves_one_account() -> None:
    [root] = walked()
    assert (root.id, root.parent, root.level, root.mask["name"], root.more) == (ROOT.id, None, 1, "蒙**", 0)


def test_accounts_hang_from_those_the_money_came_from_parents_first() -> None:
    nodes = walked(moved("C", "D", minute=9), moved("A", "B", minute=2), moved("A", "C", minute=1), moved("B", "E"))
    assert drawn(nodes) == [("A", None, 1), ("C", "A", 2), ("B", "A", 2), ("D", "C", 3), ("E", "B", 3)]


def test_several_transfers_to_one_account_are_one_node_with_their_sum() -> None:
    first = moved("A", "B", 300, minute=4)
    [_, node] = walked(moved("A", "B", 500, minute=7), first)
    assert (node.id, node.amount_fen, node.transfers, node.transferred_at) == (first.id, 800, 2, first.transferred_at)


def test_minutes_count_from_the_first_transfer_of_the_case_and_are_never_negative() -> None:
    nodes = walked(moved("A", "B", minute=59), moved("A", "C", minute=-3))
    assert [node.minutes for node in nodes] == [0, 0, 59]


def test_money_that_comes_back_is_shown_once_and_not_followed() -> None:
    nodes = walked(moved("A", "B"), moved("B", "A", minute=1), moved("B", "C", minute=2), moved("C", "B"))
    assert drawn(nodes) == [("A", None, 1), ("B", "A", 2), ("A", "B", 3), ("C", "B", 3), ("B", "C", 4)]
    assert [(node.cycle, node.same_as) for node in nodes if node.same_as] == [(True, ROOT.id), (True, nodes[1].id)]


def test_an_account_that_pays_itself_is_a_cycle() -> None:
    [_, node] = walked(moved("A", "A"))
    assert (node.cycle, node.same_as) == (True, ROOT.id)


def test_an_account_reached_by_two_ways_is_followed_from_the_first_only() -> None:
    nodes = walked(
        moved("A", "B", minute=1), moved("A", "C", minute=2), moved("B", "D"), moved("C", "D"), moved("D", "E")
    )
    assert drawn(nodes)[3:] == [("D", "B", 3), ("D", "C", 3), ("E", "D", 4)]
    [again] = [node for node in nodes if node.same_as]
    assert (again.same_as, again.cycle) == (nodes[3].id, False)
    assert nodes[-1].parent == nodes[3].id


def test_what_lies_too_deep_is_counted_and_not_shown() -> None:
    chain = "ABCDEFGHIJKLMNO"
    nodes = walked(*(moved(one, other) for one, other in pairwise(chain)))
    assert (len(nodes), nodes[-1].level, nodes[-1].more) == (10, tracing.DEEPEST, 5)


def test_no_more_than_five_hundred_accounts_are_shown_and_the_rest_is_counted() -> None:
    wide = [moved("A", f"B{one}", minute=one) for one in range(600)]
    nodes = walked(*wide, *(moved("B599", f"C{one}") for one in range(7)))
    assert (len(nodes), nodes[0].more) == (tracing.MOST_SHOWN, 101 + 7)


accounts = st.sampled_from("ABCDEFGH")


@given(st.lists(st.tuples(accounts, accounts, st.integers(0, 5)), max_size=40))
def test_any_network_of_accounts_is_walked_to_its_end(pairs: list[tuple[str, str, int]]) -> None:
    transfers = [moved(parent, token, minute=minute) for parent, token, minute in pairs]
    nodes = walked(*transfers)
    places = {node.id: place for place, node in enumerate(nodes)}
    assert len(places) == len(nodes)
    assert all(node.parent is None or places[node.parent] < places[node.id] for node in nodes)
    reached, grown = {"A"}, True
    while grown:
        new = {token for parent, token, _ in pairs if parent in reached} - reached
        reached, grown = reached | new, bool(new)
    followed = Counter(name for (name, _, _), node in zip(drawn(nodes), nodes, strict=True) if not node.same_as)
    assert followed == Counter(reached)
    assert sum(node.transfers for node in nodes) == sum(1 for parent, _, _ in pairs if parent in reached)


def traced(*orders: Any, moves: Sequence[Moved] = (), **more: Any) -> Traced:  # noqa: ANN401
    case = a_case(id=ROOT.id, payee_token="A", payee_mask=ROOT.mask)
    facts: dict[str, Any] = {"strays": [], "connected": frozenset({"CCB", "ABC"})}
    return Traced(case=case, moved=moves, orders=orders, **(facts | more))


def seen(known: Traced) -> list[AccountNode]:
    return tracing.accounts(known, NOON, IDENTITY, NOON + timedelta(minutes=1))


def test_each_account_shows_what_holds_it_and_what_may_be_ordered_on_it() -> None:
    stop = executed(a_case(id=ROOT.id), payee_token="A", status=Standing.EXECUTED)
    root, next_one = seen(traced(stop, moves=[moved("A", "B")]))
    assert (root.hold, root.expires_at, root.orders) == (Hold.STOPPED, stop.expires_at, (stop.id,))
    assert OrderKind.FREEZE in root.offered
    assert OrderKind.RELEASE_STOP in root.offered
    assert (next_one.hold, next_one.orders, next_one.offered) == (Hold.FREE, (), (OrderKind.STOP,))


def test_stops_of_another_case_count_and_are_not_shown() -> None:
    others = [executed(a_case(), payee_token="B", status=Standing.EXECUTED, ended_at=NOON) for _ in range(2)]
    _, next_one = seen(traced(*others, moves=[moved("A", "B")]))
    assert (next_one.orders, next_one.offered) == ((), ())


def test_an_account_at_a_bank_that_is_not_connected_offers_nothing() -> None:
    _, next_one = seen(traced(moves=[moved("A", "B", bank="XYZ")]))
    assert (next_one.connected, next_one.offered) == (False, ())


def test_an_order_on_a_corrected_number_begins_a_tree_of_its_own() -> None:
    order = an_order(a_case(id=ROOT.id), payee_token="A2")
    payee = {"payee": {"name": "蒙世坤", "account": "6217000000000002027"}}
    event = OrderChanged(
        order_id=order.id,
        version=1,
        case_id=ROOT.id,
        kind=order.kind,
        status=OrderStatus.PENDING,
        bank="CCB",
        amount_fen=1,
        application_type="02",
        emergency_level="02",
        payee_account_type=AccountType.PERSONAL,
        transfer_at=NOON,
        ordered_at=NOON,
        starts_at=NOON,
        unit="SZ",
        identity=IDENTITY.seal(json.dumps(payee), str(order.id)),
    )
    _, corrected, next_one = seen(traced(order, moves=[moved("A2", "B")], strays=[("A2", event)]))
    assert (corrected.id, corrected.parent, corrected.level) == (order.id, None, 1)
    assert corrected.mask == {"name": "蒙**", "account": "****2027", "bank_code": "CCB"}
    assert next_one.parent == corrected.id


def test_what_a_bank_tells_is_kept_as_token_mask_and_seal() -> None:
    order = an_order(a_case(), account_level=2)
    one = {
        "bank_code": "ABC",
        "account": "6228480000000002048",
        "name": "戚海涛",
        "amount_fen": 100,
        "transferred_at": "2026-11-22T11:30:11+08:00",
    }
    answer = feedback(order)
    said = IDENTITY.seal(json.dumps({"onward": [one, one, {**one, "name": None}]}), str(answer.feedback_id))
    first, same, nameless = onward.told(answer.model_copy(update={"identity": said}), order, IDENTITY, TOKENS, uuid4)
    assert (first.token, first.parent) == (TOKENS.of("account", one["account"]), order.payee_token)  # type: ignore[arg-type]
    assert (first.level, first.bank, first.amount_fen, first.case_id) == (3, "ABC", 100, order.case_id)
    assert first.mask == {"name": "戚**", "account": "****2048", "bank_code": "ABC"}
    assert nameless.mask["name"] == ""
    assert [first.nth, same.nth, nameless.nth] == [1, 2, 3]
    assert onward.in_clear(first, IDENTITY)["account"] == one["account"]
    with pytest.raises(SealBrokenError):
        IDENTITY.open(first.sealed, str(same.id))


def test_an_answer_that_cannot_be_opened_is_an_error_for_a_person() -> None:
    order = an_order(a_case())
    with pytest.raises(SealBrokenError):
        onward.told(feedback(order), order, IDENTITY, TOKENS, uuid4)
