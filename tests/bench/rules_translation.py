"""From CEL to what the other engines speak.

Conditions are translated token by token to the Python-like syntax that zen-engine and rule-engine share, and from
there to JsonLogic. Dots in names become underscores: `payee.alerts_7d` is `payee_alerts_7d` to them.
"""

import ast
from collections.abc import Mapping
from typing import Any, Final

from services.rules.features import Value
from services.rules.pack.expression import Condition

WORDS: Final = {"&&": "and", "||": "or", "!": "not"}
SIGNS: Final = frozenset({"&&", "||", "!", "==", "!=", ">", ">=", "<", "<=", "+", "-", "*", "(", ")", "[", "]", ","})
OPERATORS: Final = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.In: "in",
    ast.Add: "+",
    ast.Sub: "-",
    ast.USub: "-",
    ast.Mult: "*",
    ast.Not: "!",
    ast.And: "and",
    ast.Or: "or",
}


def translatable(condition: Condition, names: Mapping[str, Value]) -> bool:
    """Tell whether a condition says only what all engines can say: no functions, loops or literals of CEL's own."""
    return all(
        token.text in names or token.text == "in"
        if token.kind == "name"
        else token.text in SIGNS
        if token.kind == "sign"
        else token.text.isdecimal() or (token.text[0] == '"' and "\\" not in token.text)
        for token in condition.tokens
    )


def flat(facts: Mapping[str, Value]) -> dict[str, Value]:
    """Name facts as the others can read them."""
    return {name.replace(".", "_"): value for name, value in facts.items()}


def python_like(condition: Condition) -> str:
    """Translate a condition to the syntax of zen-engine and rule-engine."""
    return " ".join(
        token.text.replace(".", "_") if token.kind == "name" else WORDS.get(token.text, token.text)
        for token in condition.tokens
    )


def json_logic_of(source: str) -> Any:  # noqa: ANN401 - JSON
    """Translate a Python-like condition to JsonLogic."""
    return _tree(ast.parse(source, mode="eval").body)


def _tree(node: ast.expr) -> Any:  # noqa: ANN401 - JSON
    match node:
        case ast.Name():
            return {"var": node.id}
        case ast.Constant():
            return node.value
        case ast.List():
            return [_tree(one) for one in node.elts]
    operator, parts = _operation(node)
    return {OPERATORS[type(operator)]: [_tree(part) for part in parts]}


def _operation(node: ast.expr) -> tuple[ast.AST, list[ast.expr]]:
    match node:
        case ast.BoolOp():
            return node.op, node.values
        case ast.UnaryOp():
            return node.op, [node.operand]
        case ast.BinOp():
            return node.op, [node.left, node.right]
        case ast.Compare(ops=[operator], comparators=[right]):
            return operator, [node.left, right]
    raise ValueError(f"no JsonLogic for {ast.unparse(node)}")
