"""AsyncAPI of the topics: who says what on which, how records are keyed and headed, with an example of each event."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from services.contracts_events import EXAMPLES, IDS, TRACEPARENT
from services.intake.app import HEARS as INTAKE_HEARS
from services.notifier.app import HEARS as NOTIFIER_HEARS
from services.rules.app import HEARS as RULES_HEARS
from shared.dead_letters import ReasonClass
from shared.events import (
    CASES,
    DISPOSITIONS,
    EVENTS,
    FEEDBACK,
    ORDERS,
    OUTCOMES,
    REPORTS,
    TALLIES,
    TOPICS,
    VERDICTS,
    Event,
    dead_letters,
)
from shared.kafka import KEPT
from shared.settings import Settings

Schema = dict[str, Any]

SAYS: Final = {
    "intake": (REPORTS, DISPOSITIONS, FEEDBACK, TALLIES),
    "rules": (VERDICTS, TALLIES),
    "notifier": (CASES, ORDERS, OUTCOMES, TALLIES),
}
HEARS: Final = {"intake": INTAKE_HEARS, "rules": RULES_HEARS, "notifier": NOTIFIER_HEARS}
KEYS: Final = {
    REPORTS: "The payee's token: what concerns one payee stays in order.",
    VERDICTS: "The payee's token.",
    DISPOSITIONS: "The payee's token.",
    CASES: "The case's id; of what is in no case, the first report's.",
    ORDERS: "The case's id.",
    FEEDBACK: "The case's id.",
    OUTCOMES: "The case's id; of a verdict that was taken, the report's.",
    TALLIES: "The service that counted.",
}
BINDING: Final = "0.5.0"
DEAD_LETTER: Final = "lanjie.dead.letter.v1"
PARTITIONS: Final[int] = Settings.model_fields["kafka_partitions"].default
COPIES: Final = 3
"""Of each record, on three brokers or more; with a single broker there is one (`KAFKA_REPLICAS`)."""


def asyncapi() -> Schema:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "lanjie events", "version": "1", "description": "CloudEvents 1.0, binary mode, over Kafka."},
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic) for topic in TOPICS}
        | {dead_letters(topic): _dead_channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {event.type: _message(event) for event in EVENTS.values()} | {DEAD_LETTER: _dead_letter()},
            "messageTraits": {"cloudEvent": {"headers": _HEADERS, "contentType": "application/json"}},
        },
    }


def _channel(topic: str) -> Schema:
    types = [event.type for event in EVENTS.values() if event.topic == topic]
    return {
        "address": topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
        "description": f"What cannot be read is parked on {dead_letters(topic)} with the reason in a header.",
        "bindings": _topic(topic, PARTITIONS),
    }


def _dead_channel(topic: str) -> Schema:
    return {
        "address": dead_letters(topic),
        "messages": {DEAD_LETTER: {"$ref": f"#/components/messages/{DEAD_LETTER}"}},
        "description": f"Copies of what could not be read or handled on {topic}; what lies in the database counts.",
        "bindings": _topic(topic, 1),
    }


def _topic(topic: str, partitions: int) -> Schema:
    kafka: Schema = {"partitions": partitions, "replicas": COPIES, "bindingVersion": BINDING}
    if topic in KEPT and partitions > 1:
        kafka["topicConfiguration"] = {name: int(value) for name, value in KEPT[topic].items()}
    return {"kafka": kafka}


def _operations() -> Schema:
    found: Schema = {}
    for service, topics in SAYS.items():
        for topic in topics:
            found[f"{service}.send.{topic}"] = _operation("send", topic, f"{service} says it.")
    for service, topics in HEARS.items():
        for topic in topics:
            heard = _operation("receive", topic, f"{service} hears it.")
            group = {"type": "string", "const": f"lanjie-{service}"}
            heard["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
            found[f"{service}.receive.{topic}"] = heard
            parked = _operation("send", dead_letters(topic), f"{service} parks what it cannot read or handle.")
            found[f"{service}.send.{dead_letters(topic)}"] = parked
    return found


def _operation(action: str, topic: str, summary: str) -> Schema:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, "summary": summary}


def _message(event: type[Event]) -> Schema:
    place = next(place for place, example in enumerate(EXAMPLES) if type(example) is event)
    key = {"type": "string", "description": KEYS[event.topic]}
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip(),
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"./events/{event.type}.json"},
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}},
        "examples": [_example(place)],
    }


def _example(place: int) -> Schema:
    event, event_id = EXAMPLES[place], IDS[place]
    source = next(service for service, topics in SAYS.items() if event.topic in topics)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event_id),
        "ce_type": event.type,
        "ce_source": f"/lanjie/{source}",
        "ce_time": datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "traceparent": TRACEPARENT,
    }
    name = event.type.removeprefix("lanjie.").removesuffix(".v1").replace(".", "_")
    return {
        "name": name,
        "summary": f"Its key is {event.key()}.",
        "headers": headers,
        "payload": json.loads(event.model_dump_json()),
    }


def _dead_letter() -> Schema:
    reason = {
        "type": "string",
        "description": f"Topic, partition and offset, and why; classes: {', '.join(ReasonClass)}.",
    }
    return {
        "name": DEAD_LETTER,
        "summary": "A record that was put aside, sealed as it lay on its topic: key, headers and value.",
        "headers": {**_HEADERS, "required": [*_HEADERS["required"], "reason"]}
        | {"properties": {**_HEADERS["properties"], "reason": reason}},
        "payload": {"type": "string", "description": "AES-GCM text `key-id.base64`, as text and not as JSON."},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "SHA-256 of key, value and headers, in hexadecimal."},
                "bindingVersion": BINDING,
            }
        },
        "examples": [
            {
                "name": "null_value",
                "headers": {
                    "ce_specversion": "1.0",
                    "ce_id": "019aa949-9f18-7000-8000-000000000011",
                    "ce_type": DEAD_LETTER,
                    "ce_source": "/lanjie/rules",
                    "ce_time": "2026-11-22T01:31:00.120+00:00",
                    "content-type": "application/json",
                    "reason": f"{REPORTS}/2/1841: the value is null",
                },
                "payload": "n1.Q0p1b3QyU2t6VnE4d0xjN1hZ",
            }
        ],
    }


_HEADERS: Final[Schema] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "Of the event, the same however often it comes."},
        "ce_type": {"type": "string"},
        "ce_source": {"enum": [f"/lanjie/{service}" for service in SAYS]},
        "ce_time": {"type": "string", "format": "date-time", "description": "When the event's id was minted."},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    },
}
