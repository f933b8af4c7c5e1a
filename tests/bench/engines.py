"""Other rule engines, asked the same conditions in the best form each of them offers.

What an engine can do once, it does before the clock runs: it compiles its rules, and gets the facts with names it
can read. What it does for every report is timed: taking over the facts, asking, and a list of answers in order.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import json_logic
import rule_engine
import zen

from services.rules.features import Value
from services.rules.pack.expression import Condition
from tests.bench.rules_translation import json_logic_of, python_like

Ask = Callable[[dict[str, Value]], Sequence[bool | None]]
"""Answers every condition, in order."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way of asking an engine, ready to be asked. `engine` is the name of its package."""

    engine: str
    form: str
    ask: Ask


def forms(conditions: Sequence[Condition]) -> list[Form]:
    """Return every form worth trying, compiled."""
    sources = [python_like(condition) for condition in conditions]
    return [*_zen(sources), *_rule_engine(sources), _json_logic(sources)]


def _listed(sources: Sequence[str]) -> str:
    return "[" + ", ".join(f"({source})" for source in sources) + "]"


def _zen(sources: Sequence[str]) -> list[Form]:
    listed = zen.compile_expression(_listed(sources))
    singly = [zen.compile_expression(source) for source in sources]
    graph = zen.ZenEngine().create_decision(_graph("expressionNode", _expressions(sources)))
    table = zen.ZenEngine().create_decision(_graph("decisionTableNode", _table(sources)))
    keys = [f"r{at}" for at in range(len(sources))]

    def ask_graph(facts: dict[str, Value]) -> list[bool]:
        result = graph.evaluate(facts)["result"]
        return [result[key] for key in keys]

    def ask_table(facts: dict[str, Value]) -> list[bool]:
        held = {row["rule"] for row in table.evaluate(facts)["result"]}
        return [at in held for at in range(len(sources))]

    return [
        Form("zen-engine", "one compiled list expression", listed.evaluate),
        Form("zen-engine", "compiled expressions, one by one", lambda facts: [one.evaluate(facts) for one in singly]),
        Form("zen-engine", "decision graph, one expression node", ask_graph),
        Form("zen-engine", "decision table, hit policy collect", ask_table),
    ]


def _expressions(sources: Sequence[str]) -> dict[str, object]:
    return {"expressions": [{"id": f"x{at}", "key": f"r{at}", "value": source} for at, source in enumerate(sources)]}


def _table(sources: Sequence[str]) -> dict[str, object]:
    return {
        "hitPolicy": "collect",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": "rule", "field": "rule", "name": "rule"}],
        "rules": [{"_id": f"r{at}", "when": source, "rule": str(at)} for at, source in enumerate(sources)],
    }


def _graph(kind: str, content: dict[str, object]) -> str:
    nodes: list[dict[str, object]] = [
        {"id": "in", "type": "inputNode", "name": "in"},
        {"id": "rules", "type": kind, "name": "rules", "content": content},
        {"id": "out", "type": "outputNode", "name": "out"},
    ]
    edges = [
        {"id": "1", "type": "edge", "sourceId": "in", "targetId": "rules"},
        {"id": "2", "type": "edge", "sourceId": "rules", "targetId": "out"},
    ]
    placed = [{**node, "position": {"x": 0, "y": 0}} for node in nodes]
    return json.dumps({"contentType": "application/vnd.gorules.decision", "nodes": placed, "edges": edges})


def _rule_engine(sources: Sequence[str]) -> list[Form]:
    context = rule_engine.Context(resolver=rule_engine.resolve_item)
    rules = [rule_engine.Rule(source, context=context) for source in sources]
    listed = rule_engine.Rule(_listed(sources), context=context)
    return [
        Form("rule-engine", "compiled rules, one by one", lambda facts: [rule.matches(facts) for rule in rules]),
        Form("rule-engine", "one compiled list expression", listed.evaluate),
    ]


def _json_logic(sources: Sequence[str]) -> Form:
    rules = [json_logic_of(source) for source in sources]
    return Form(
        "panzi-json-logic", "rules, one by one", lambda facts: [json_logic.jsonLogic(rule, facts) for rule in rules]
    )
