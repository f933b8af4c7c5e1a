"""The document of the topics: valid as AsyncAPI, true to the code, with an example of each event."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from services import contracts
from services.contracts_async import HEARS, PARTITIONS, SAYS, asyncapi
from services.contracts_events import EXAMPLES, IDS
from shared.events import EVENTS, TOPICS, Event, dead_letters
from shared.records import Received, read
from tests.contract.asyncapi_specs import schema_of_asyncapi

DOCUMENT = asyncapi()
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def problems(document: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft7Validator(schema_of_asyncapi()).iter_errors(document)]


def test_it_is_an_asyncapi_document() -> None:
    assert problems(DOCUMENT) == []


def test_what_is_no_asyncapi_document_is_noticed() -> None:
    operations = {**DOCUMENT["operations"], "wrong": {"action": "shout", "channel": {"$ref": "#/channels/x"}}}
    assert problems({**DOCUMENT, "operations": operations})


def test_every_reference_in_it_leads_somewhere() -> None:
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(inner) for inner in value.values()))
        return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()

    for reference in references(DOCUMENT):
        if reference.startswith("./"):
            assert (contracts.FOLDER / reference).exists(), reference
            continue
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_topic_and_its_dead_letters_are_channels_with_their_partitions() -> None:
    kafka = {name: channel["bindings"]["kafka"]["partitions"] for name, channel in DOCUMENT["channels"].items()}
    assert kafka == dict.fromkeys(TOPICS, PARTITIONS) | {dead_letters(topic): 1 for topic in TOPICS}


def test_every_topic_is_said_and_heard_by_somebody() -> None:
    assert {topic for topics in SAYS.values() for topic in topics} == set(TOPICS)
    assert {topic for topics in HEARS.values() for topic in topics} == set(TOPICS)


def test_there_is_one_example_of_each_event() -> None:
    assert [type(example) for example in EXAMPLES] == list(EVENTS.values())
    assert len(IDS) == len(EXAMPLES)


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_an_example_fits_its_schemas(event: type[Event]) -> None:
    [example] = MESSAGES[event.type]["examples"]
    headers = DOCUMENT["components"]["messageTraits"]["cloudEvent"]["headers"]
    committed = json.loads((contracts.FOLDER / "events" / f"{event.type}.json").read_text(encoding="utf-8"))
    for schema, value in ((headers, example["headers"]), (committed, example["payload"])):
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


class Record:
    """A record as it would lie on its topic."""

    partition = 0
    offset = 0

    def __init__(self, event: Event, example: dict[str, Any]) -> None:
        self.topic = event.topic
        self.key: bytes | None = event.key().encode()
        self.value: bytes | None = json.dumps(example["payload"]).encode()
        self.headers: Sequence[tuple[str, bytes | None]] = [
            (name, str(value).encode()) for name, value in example["headers"].items()
        ]


@pytest.mark.parametrize("place", range(len(EXAMPLES)), ids=lambda place: EXAMPLES[place].type)
def test_a_consumer_reads_an_example_as_the_event_it_shows(place: int) -> None:
    event = EXAMPLES[place]
    [example] = MESSAGES[event.type]["examples"]
    received = read(Record(event, example))
    assert isinstance(received, Received)
    assert (received.event, received.event_id) == (event, UUID(example["headers"]["ce_id"]))
    assert event.key() in example["summary"]
