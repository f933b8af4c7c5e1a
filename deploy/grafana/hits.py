"""Which rules speak, live and on trial; for analysts. Chinese first, as police read it."""

from typing import Final

from deploy.grafana.asking import grown, or_none
from deploy.grafana.board import Matrix, Panel, Query, Row, Unit, bars, table
from deploy.grafana.words import LEVELS

MOST: Final = 20


def most(metric: str, label: str) -> tuple[Query, ...]:
    """Return the values of a label that counted most, the greatest first."""
    return (Query(f"sort_desc(topk({MOST}, {or_none(grown(metric, label))}))", f"{{{{{label}}}}}"),)


def _would_be(of: str, title: str, description: str) -> Panel:
    return table(
        title,
        description,
        Unit.COUNT,
        (Query(grown("lanjie_shadow_verdicts_total", "level, would_be", f'of="{of}"')),),
        width=12,
        matrix=Matrix("level", "would_be", LEVELS, "现在 → 改后"),
        names=LEVELS,
        see="rules.md#trying",
    )


RULES: Final = (
    bars(
        "命中最多的规则",
        "哪些规则在起作用？一条占了一大半：它太宽，看它命中的案件属不属实。\n\n"
        "Which rules carry the verdicts? One with more than half of all: it is too wide; see what its cases turned out "
        "to be.",
        Unit.COUNT,
        most("lanjie_rule_hits_total", "rule"),
        height=14,
        see="rules.md#weights",
    ),
    bars(
        "影子规则命中",
        "试用中的规则会命中多少？与左边同一尺度：远多于在用的规则，就太宽，不要发布。\n\n"
        "How often would rules on trial speak? Held against the live ones on the left: far more than those is too "
        "wide.",
        Unit.COUNT,
        most("lanjie_shadow_rule_hits_total", "rule"),
        height=14,
        see="rules.md#trying",
    ),
    bars(
        "出错的规则",
        "哪条规则算不出结果？改条件，先查再除：`lanjie rules check`。\n\n"
        "Which rule had no answer? Mend its condition; `lanjie rules check` and `explain` help.",
        Unit.COUNT,
        (Query(or_none(f"topk({MOST}, {grown('lanjie_rule_failures_total', 'rule')} > 0)"), "{{rule}}"),),
        height=14,
        quiet=True,
        see="rules.md#what-is-refused",
    ),
    _would_be(
        "pack",
        "影子规则包会改变什么",
        "试用的规则包会把结论改成什么？行是现在的级别，列是改后的级别。不在对角线上的是变化，由 `lanjie rules shadow` "
        "逐笔列出；属实的要变高，不属实的要变低，才可发布。\n\n"
        "What would the pack on trial change? Rows: the level today; columns: what it would be. `lanjie rules shadow` "
        "lists what lies off the diagonal: publish when what was confirmed rises and what was unfounded falls.",
    ),
    _would_be(
        "rules",
        "影子规则会改变什么",
        "在用的规则包里，标为影子的规则若算数，会把结论改成什么？看法同左。\n\n"
        "What would change if the shadow rules of the live pack counted? Read and decide as on the left.",
    ),
)

ROW: Final = Row("哪些规则 · Which rules, live and on trial", RULES)
