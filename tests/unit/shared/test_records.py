"""Records as they lie on a topic: whatever is no event of ours is poison, with a reason that shows nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from shared.events import Event
from shared.outbox import new_id
from shared.records import Received, read
from tests.faults.poison import Spoilt, samples, sealed_by_nobody, unreadable, with_nul

CANARY = "金丝雀6217998877665544332"
EVENTS = {event.topic: event for event in samples()}
ALL = [spoilt for event in EVENTS.values() for spoilt in unreadable(event)]


@dataclass(slots=True)
class Lying:
    """A record as the broker hands it out."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    partition: int = 0
    offset: int = 1


def lying(spoilt: Spoilt) -> Lying:
    return Lying(spoilt.topic, spoilt.key, spoilt.value, spoilt.headers)


def whole(event: Event, value: bytes | None = None) -> Lying:
    headers: list[tuple[str, bytes | None]] = [("ce_type", event.type.encode()), ("ce_id", str(new_id()).encode())]
    return Lying(event.topic, event.key().encode(), value or event.model_dump_json().encode(), headers)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_is_read_as_what_it_is(event: Event) -> None:
    found = read(whole(event))
    assert isinstance(found, Received)
    assert found.event == event


@pytest.mark.parametrize("spoilt", ALL, ids=lambda one: f"{one.what[:24]} on {one.topic}")
def test_each_poison_is_told_from_an_event_and_none_raises(spoilt: Spoilt) -> None:
    assert not isinstance(read(lying(spoilt)), Received)


def test_no_two_poisons_are_the_same_dead_letter() -> None:
    found = [read(lying(spoilt)) for spoilt in ALL]
    assert len({(one.topic, one.sha256) for one in found if not isinstance(one, Received)}) == len(ALL)


@pytest.mark.parametrize(
    "value",
    [
        CANARY.encode(),
        f'"{CANARY}"'.encode(),
        f'{{"{CANARY}": 1}}'.encode(),
        f'{{"report_id": "{CANARY}", "cues": {{"{CANARY}": 1}}, "amount_fen": "{CANARY}"}}'.encode(),
    ],
)
def test_the_reason_shows_nothing_of_what_stands_in_a_record(value: bytes) -> None:
    for event in EVENTS.values():
        found = read(whole(event, value))
        assert not isinstance(found, Received)
        assert CANARY[:3] not in found.reason
        assert CANARY[3:] not in found.reason


def test_fields_that_a_newer_producer_adds_do_not_make_poison_of_an_event() -> None:
    for event in EVENTS.values():
        value = event.model_dump_json().encode()[:-1] + b',"new": {"of": ["a", "later", "version"]}}'
        assert isinstance(read(whole(event, value)), Received)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_what_only_a_handler_can_refuse_is_read(event: Event) -> None:
    assert isinstance(read(lying(sealed_by_nobody(event))), Received)
    for field in {"bank", "unit", "payee_token"} & event.model_dump().keys():
        assert isinstance(read(lying(with_nul(event, field))), Received)


def test_an_event_on_the_topic_of_another_is_poison() -> None:
    for event in EVENTS.values():
        for topic in EVENTS.keys() - {event.topic}:
            lost = whole(event)
            lost.topic = topic
            assert not isinstance(read(lost), Received)
