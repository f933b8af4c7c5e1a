"""What no file of the product may do."""

import ast
from collections.abc import Iterator
from pathlib import Path

from deploy.local.config import ROOT

PRODUCT = [path for folder in ("shared", "services") for path in sorted((ROOT / folder).rglob("*.py"))]
MAY_SUBSCRIBE = ROOT / "shared" / "consumer.py"
MAY_READ_AHEAD = ROOT / "shared" / "express.py"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call in a file with the last part of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            yield name, node


def test_only_one_file_subscribes_to_topics_and_one_reads_ahead() -> None:
    found = {path for path in PRODUCT for name, _ in calls(path) if name in {"subscriber", "AIOKafkaConsumer"}}
    assert found == {MAY_SUBSCRIBE, MAY_READ_AHEAD}


def test_the_one_subscription_is_manual_batched_and_from_the_beginning() -> None:
    [subscription] = [call for name, call in calls(MAY_SUBSCRIBE) if name == "subscriber"]
    told = {keyword.arg: ast.unparse(keyword.value) for keyword in subscription.keywords}
    assert told["ack_policy"] == "AckPolicy.MANUAL"
    assert told["batch"] == "True"
    assert told["auto_offset_reset"] == "'earliest'"
    assert "auto_commit" not in told


def test_what_is_read_ahead_is_in_no_group_and_commits_nothing() -> None:
    [subscription] = [call for name, call in calls(MAY_READ_AHEAD) if name == "subscriber"]
    told = {keyword.arg: ast.unparse(keyword.value) for keyword in subscription.keywords}
    assert told["ack_policy"] == "AckPolicy.MANUAL"
    assert "group_id" not in told
    assert not [call for name, call in calls(MAY_READ_AHEAD) if name in {"ack", "commit"}]


def test_every_producer_waits_for_all_replicas_and_is_idempotent() -> None:
    producers = [call for path in PRODUCT for name, call in calls(path) if name == "AIOKafkaProducer"]
    assert producers
    for call in producers:
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert told["acks"] == "'all'"
        assert told["enable_idempotence"] == "True"


def test_money_is_never_a_float_in_a_decision() -> None:
    notifier = ROOT / "services" / "notifier"
    money = ("ledger", "holding", "transfer", "recount")
    orders = ("order", "holds", "legality", "effect")
    pure = [notifier / "money" / f"{name}.py" for name in money]
    pure += [notifier / "orders" / f"{name}.py" for name in orders]
    for path in [*pure, notifier / "cases" / "case.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
        assert floats == []
        assert divisions == []
