"""How well the rules judge, and which of them do; for analysts. Chinese first, as it is police who read it."""

from functools import partial
from typing import Final

from deploy.grafana import hits
from deploy.grafana.asking import BANK, UNIT, grown, or_none, part, rate
from deploy.grafana.board import Colour, Matrix, Panel, Query, Row, Unit, alarm, bars, number, table
from deploy.grafana.hits import most
from deploy.grafana.words import FINDINGS, LEVELS, scam_types

share = partial(number, unit=Unit.SHARE, base=Colour.GOOD)
counts = partial(table, unit=Unit.COUNT)


NUMBERS: Final = (
    number(
        "研判笔数",
        "所选时段里研判了多少笔报告？为 0 时看“链路”。\n\nHow many reports were judged? None: see Chain.",
        Unit.COUNT,
        (Query(grown("lanjie_verdicts_total")),),
        see="rules.md",
    ),
    share(
        "预警占比",
        "多少笔被判为预警？突然升高：新的手法，或者有条规则失控，看“命中最多的规则”。\n\n"
        "What part became alerts? A sudden rise: a new wave, or a rule gone wild; see which rules speak most.",
        queries=(Query(part(grown("lanjie_verdicts_total", where='level="alert"'), grown("lanjie_verdicts_total"))),),
        base=Colour.PLAIN,
        see="judgement.md",
    ),
    share(
        "属实率",
        "结案的案件里属实的占多少？低于七成：从不属实的案件里挑命中的规则，降低权重，先在影子里试。\n\n"
        "What part of the closed cases was confirmed? Below 70 %: look up the rules of the unfounded ones, lower their "
        "weights, and try it in the shadow first.",
        queries=(
            Query(
                part(
                    grown("lanjie_cases_closed_total", where=f'finding="confirmed", {UNIT}'),
                    grown("lanjie_cases_closed_total", where=UNIT),
                )
            ),
        ),
        base=Colour.BAD,
        steps=((0.5, Colour.LATE), (0.7, Colour.GOOD)),
        see="judgement.md",
    ),
    share(
        "不实占比",
        "预警级报告里，最后查为不属实的占多少？这些客户被白白拦下。高于两成，看“按银行”“按单位”是谁报得多。\n\n"
        "What part of the alerts was found unfounded: customers held up for nothing? Above 20 %: see whose they are.",
        queries=(
            Query(
                part(
                    grown("lanjie_reports_unfounded_total", where=UNIT),
                    grown("lanjie_case_reports_total", where=UNIT),
                )
            ),
        ),
        steps=((0.1, Colour.LATE), (0.2, Colour.BAD)),
        see="casework.md#branches-that-report-for-nothing",
    ),
    alarm(
        "规则出错",
        "有规则算不出结果（如除以零）的有几次？按不命中处理，但要改：看下面是哪一条。\n\n"
        "How often had a rule no answer? It counts as silent; mend it: see below which.",
        Unit.COUNT,
        (Query(or_none(grown("lanjie_rule_failures_total"))),),
        see="rules.md#what-is-refused",
    ),
    alarm(
        "装不上的规则包",
        "有进程装不上已发布的规则包吗？它继续用上一版：先升级软件，再发布。\n\n"
        "Is a replica too old for a released pack? It goes on with the one before: upgrade it.",
        Unit.COUNT,
        (Query("max(lanjie_rule_packs_refused)"),),
        see="runbooks.md#lanjierulepackrefused",
    ),
)

VERDICTS: Final = (
    Panel(
        "各级别研判",
        "放行、提示、预警各有多少？预警线陡升而属实率下降，就是误报。\n\n"
        "How many of each level? Alerts that rise while fewer are confirmed are false ones.",
        Unit.PER_SECOND,
        (Query(rate("lanjie_verdicts_total", "level"), "{{level}}"),),
        see="judgement.md",
    ),
    bars(
        "诈骗类型",
        "研判为哪些类型？某一类突然冒头：看它的话术是否有变化，通知银行和社区。\n\n"
        "Of which scam types? One that comes up suddenly: see whether its words have changed; tell banks and "
        "communities.",
        Unit.COUNT,
        most("lanjie_verdicts_total", "scam_type"),
        names=scam_types(),
        see="judgement.md",
    ),
    Panel(
        "重新研判",
        "后来的线索改变了多少笔的结论？长期为 0：名单和历史特征没有起作用。\n\n"
        "How often did later knowledge change a verdict? Never, for long: lists and history do not weigh.",
        Unit.PER_SECOND,
        (
            Query(rate("lanjie_judged_again_total", "level"), "{{level}}"),
            Query(or_none(rate("lanjie_list_entries_applied_total", "kind")), "名单 list: {{kind}}"),
        ),
        quiet=True,
        see="rules.md#lists",
    ),
)

AFTERWARDS: Final = (
    counts(
        "处置结果与研判",
        "研判之后，柜面上怎样收场？预警而“照常办理”的多：柜员不信规则；放行而“已转出”的：规则漏了。\n\n"
        "How did the visit end, by level? Alerts that proceed: tellers do not believe us. Clear and already sent: we "
        "missed it.",
        queries=(Query(grown("lanjie_dispositions_against_verdict_total", "level, outcome")),),
        matrix=Matrix(
            "level",
            "outcome",
            (("cancelled", "劝阻"), ("proceeded", "照常办理"), ("already_sent", "已转出")),
            "研判",
        ),
        names=LEVELS,
        see="judgement.md",
    ),
    counts(
        "侦查结论与研判",
        "民警查下来，与研判一致吗？预警而不属实的，看规则；提示而属实的，权重太低。\n\n"
        "Does the finding bear the verdict out? Alerts unfounded: the rules. Cautions confirmed: weights too low.",
        queries=(Query(grown("lanjie_findings_against_verdict_total", "level, finding")),),
        matrix=Matrix("level", "finding", FINDINGS, "研判"),
        names=LEVELS,
        see="judgement.md",
    ),
    counts(
        "结案",
        "各单位结案属实、不属实各多少？一个单位与别家差得远：先统一口径，再改规则。\n\n"
        "How do units close their cases? One far from the others: agree on the standard before changing rules.",
        queries=(Query(grown("lanjie_cases_closed_total", "unit, finding", UNIT)),),
        matrix=Matrix("unit", "finding", FINDINGS, "单位"),
        see="casework.md#from-state-to-state",
    ),
    bars(
        "不属实报告，按银行",
        "哪家银行的客户被白拦最多？看是规则还是柜员勾选得太宽，把案例反馈给它。\n\n"
        "Whose customers are held up for nothing? The rules, or tellers who tick too much: show the bank its cases.",
        Unit.COUNT,
        (Query(or_none(grown("lanjie_reports_unfounded_total", "bank", f"{BANK}, {UNIT}")), "{{bank}}"),),
        see="casework.md#branches-that-report-for-nothing",
    ),
    bars(
        "不属实报告，按单位",
        "哪个辖区被白拦最多？\n\nIn which unit's area are customers held up for nothing? See which branches report "
        "there.",
        Unit.COUNT,
        (Query(or_none(grown("lanjie_reports_unfounded_total", "unit", f"{BANK}, {UNIT}")), "{{unit}}"),),
        see="casework.md#branches-that-report-for-nothing",
    ),
    Panel(
        "结论回流",
        "民警的结论回到规则了吗？有结案而这里为 0：看“链路”的缺口。\n\n"
        "Do the findings come back to the rules? Cases closed and nothing here: see the gaps in Chain.",
        Unit.COUNT,
        (
            Query(grown("lanjie_outcomes_applied_total", over="1h"), "每小时回流 applied in an hour"),
            Query(grown("lanjie_cases_closed_total", over="1h"), "每小时结案 closed in an hour"),
        ),
        see="rules.md#lists",
    ),
)

VERSIONS: Final = (
    Panel(
        "规则包版本",
        "所有进程用的是同一版吗？发布后两秒内应一致；一直分开：落后的进程装不上，或者连不上库。0 是没有。\n\n"
        "Do all replicas judge by the same pack? They agree two seconds after a release; else one cannot load it. 0: "
        "none.",
        Unit.COUNT,
        (Query("lanjie_rule_pack_version", "{{role}} {{instance}}"),),
        width=12,
        see="runbooks.md#lanjienorulepack",
    ),
    Panel(
        "不一致的进程",
        "与多数不同版的角色有几个？超过一分钟不为 0：重启落后的进程，看它的日志。\n\n"
        "In how many roles do replicas differ? Not 0 for a minute: restart the one behind, and read its log.",
        Unit.COUNT,
        (
            Query(
                "count(max by (role) (lanjie_rule_pack_version) != min by (role) (lanjie_rule_pack_version)) or "
                "vector(0)",
                "differing",
            ),
        ),
        width=12,
        quiet=True,
        see="runbooks.md#lanjierulepacksdiffer",
    ),
)

ROWS: Final = (
    Row("研判得怎样 · How it judges", NUMBERS + VERDICTS),
    hits.ROW,
    Row("后来怎样 · What it turned out to be", AFTERWARDS),
    Row("规则包 · Packs", VERSIONS),
)
