"""The golden time: how long from the report to the stop, and who is late. Chinese first, as police read it."""

from functools import partial
from typing import Final

from deploy.grafana.asking import BANK, UNIT, grown, or_none, or_none_of, part, shown, slowest, slowest_of_all
from deploy.grafana.board import Colour, Matrix, Panel, Query, Row, Unit, alarm, bars, number, table

GOLDEN_SECONDS: Final = 30 * 60
"""Half an hour: what the police have to enter a report (银发〔2016〕86号). Later the money is mostly gone."""

STAGES: Final = "lanjie_stage_seconds"
MISSED: Final = "lanjie_deadlines_missed"
OVERDUE: Final = "lanjie_deadlines_overdue"
TO_STOP: Final = 'stage="accepted_to_stopped"'
HALF_AND_WHOLE: Final = ((GOLDEN_SECONDS / 2, Colour.LATE), (GOLDEN_SECONDS, Colour.BAD))

narrow = partial(number, width=3)
watched = partial(alarm, width=3)
share = partial(narrow, unit=Unit.SHARE, base=Colour.BAD)
"""What part of something went well: the more the better."""

NUMBERS: Final = (
    share(
        "按时签收率",
        "已签收的预警里，在时限内签收的占多少？一直没人签收的不在内，看“逾期未办”。低于九成，看下面哪个单位慢，再看它的值班排班和"
        "通知渠道。\n\n"
        "What part of the cases taken on was so in time? Those that nobody took on are under 逾期未办. Below 90 %: see "
        "which unit is slow, its roster, its channels.",
        queries=(
            Query(
                part(
                    grown("lanjie_acknowledgements_total", where=f'in_time="true", {UNIT}'),
                    grown("lanjie_acknowledgements_total", where=UNIT),
                )
            ),
        ),
        steps=((0.9, Colour.LATE), (0.99, Colour.GOOD)),
        see="runbooks.md#lanjieacknowledgedlate",
    ),
    narrow(
        "报告到预警（九成）",
        "从柜面报告到民警收到预警，十次有九次在多久之内？客户还站在柜台前，要以秒计；超过 5 秒叫运维。\n\n"
        "Within what time of the report did the alert go out, nine times out of ten? Above 5 s: call ops.",
        Unit.SECONDS,
        (Query(slowest_of_all(0.9, STAGES, where='stage="accepted_to_alert"')),),
        base=Colour.GOOD,
        steps=((1, Colour.LATE), (5, Colour.BAD)),
        see="runbooks.md#lanjiealertsslow",
    ),
    narrow(
        "报告到止付（九成）",
        "从柜面报告到银行止住，十次有九次在多久之内？黄金时间是 30 分钟；超过了，看下面时间花在哪一步。\n\n"
        "Within what time of the report was the money stopped, nine times out of ten? Golden: 30 minutes. Where it is "
        "longer, see below which step took it.",
        Unit.SECONDS,
        (Query(slowest_of_all(0.9, STAGES, where=TO_STOP)),),
        base=Colour.GOOD,
        steps=HALF_AND_WHOLE,
        see="escalation.md#stages",
    ),
    share(
        "30 分钟内止付",
        "止住的各笔里，从报告起 30 分钟内止住的占多少？\n\n"
        "What part of the stops came within 30 minutes of the report? Where it is low, see below which step is slow.",
        queries=(
            Query(
                part(
                    grown(f"{STAGES}_bucket", where=f'{TO_STOP}, le="{GOLDEN_SECONDS:.1f}"'),
                    grown(f"{STAGES}_count", where=TO_STOP),
                )
            ),
        ),
        steps=((0.8, Colour.LATE), (0.95, Colour.GOOD)),
        see="escalation.md#stages",
    ),
    share(
        "银行执行率",
        "银行答复的指令里，执行成功的占多少？失败多半是账户已空：钱走得比我们快。\n\n"
        "What part of the answered orders was executed? Most fail as the account is empty: the money was faster.",
        queries=(
            Query(
                part(
                    grown("lanjie_order_answers_total", where=f'status="executed", {BANK}'),
                    grown("lanjie_order_answers_total", where=BANK),
                )
            ),
        ),
        steps=((0.5, Colour.LATE), (0.8, Colour.GOOD)),
        see="orders.md",
    ),
    watched(
        "无人值班的单位",
        "本周排了班、此刻却无人值班的单位有几个？它们的预警只能发给全所或上级：补班。\n\n"
        "How many units have a roster this week and nobody on duty now? Fill the gap.",
        Unit.COUNT,
        (Query(shown("lanjie_units_unattended")),),
        see="runbooks.md#lanjieunitsunattended",
    ),
    narrow(
        "逾期未办",
        "此刻已过时限、仍未签收、未下指令、未反馈的有几件？看“逾期升级”是哪个单位，当面催。\n\n"
        "How many deadlines were missed by people or banks and are still not met? See below whose, and call.",
        Unit.COUNT,
        (Query(or_none_of(MISSED, f"sum({shown(MISSED, 'kind, unit', UNIT)})")),),
        quiet=True,
        base=Colour.GOOD,
        steps=((1, Colour.LATE),),
        see="escalation.md#stages",
    ),
    watched(
        "逾期未催办",
        "过了时限、系统还没有催办的有几件？不是 0 就是系统的故障，叫运维。\n\n"
        "How many deadlines passed with nobody told? Anything but 0 is a fault of ours: call ops.",
        Unit.COUNT,
        (Query(or_none_of(OVERDUE, f"sum({shown(OVERDUE, 'kind, unit', UNIT)})")),),
        see="runbooks.md#lanjiedeadlinesoverdue",
    ),
)

COURSE: Final = (
    Panel(
        "各环节耗时（九成）",
        "黄金 30 分钟用在了哪一步：系统预警、民警签收、下达指令，还是银行反馈？虚线是 15 和 30 分钟。"
        "签收、指令慢找单位，反馈慢找银行，预警慢叫运维。\n\n"
        "Where do the 30 minutes go? Acknowledgement or order slow: the unit. Feedback: the bank. Alert: ops.",
        Unit.SECONDS,
        tuple(
            Query(slowest(0.9, STAGES, where=f'stage="{stage}"'), title)
            for stage, title in (
                ("accepted_to_alert", "报告→预警"),
                ("alert_to_acknowledged", "预警→签收"),
                ("acknowledged_to_ordered", "签收→指令"),
                ("order_to_feedback", "指令→反馈"),
                ("accepted_to_stopped", "报告→止付"),
            )
        ),
        width=12,
        steps=HALF_AND_WHOLE,
        see="escalation.md#stages",
    ),
    bars(
        "各单位签收耗时（九成）",
        "哪个单位签收慢？连续几天垫底的，看它的排班、通知渠道和警力。\n\n"
        "Which unit takes cases on slowly? Look at its roster, its channels, its people.",
        Unit.SECONDS,
        (Query(slowest_of_all(0.9, "lanjie_acknowledgement_seconds", "unit", UNIT), "{{unit}}"),),
        width=6,
        base=Colour.GOOD,
        steps=((60, Colour.LATE), (300, Colour.BAD)),
        see="duty.md#whom-an-alert-reaches",
    ),
    bars(
        "逾期升级",
        "哪些单位逾期、在哪一环节？同一单位反复出现：值班的人太少，或者通知不到。\n\n"
        "Which units were late, and with what? The same one again and again: too few on duty, or no channel.",
        Unit.COUNT,
        (Query(or_none(grown("lanjie_escalations_total", "unit, stage", UNIT)), "{{unit}} {{stage}}"),),
        width=6,
        base=Colour.LATE,
        see="runbooks.md#lanjieunitoftenlate",
    ),
    table(
        "下达的指令",
        "向各银行下达了哪些指令？只有预警、没有指令的时段，问办案单位。\n\n"
        "Which orders were given to which bank? Alerts and no orders: ask the units.",
        Unit.COUNT,
        (Query(grown("lanjie_orders_total", "bank, kind", BANK)),),
        width=12,
        matrix=Matrix(
            "bank",
            "kind",
            (
                ("stop", "止付"),
                ("extend_stop", "续止付"),
                ("release_stop", "解除止付"),
                ("freeze", "冻结"),
                ("extend_freeze", "续冻"),
                ("unfreeze", "解除冻结"),
                ("return_funds", "返还"),
            ),
            "银行",
        ),
        see="orders.md#kinds",
    ),
    table(
        "银行的答复",
        "各银行怎样答复指令？未成的多，或者比下达的少（迟迟不答），打电话给总行止付岗。\n\n"
        "How do banks answer? Many failed, or fewer answers than orders: call the head office's desk.",
        Unit.COUNT,
        (Query(grown("lanjie_order_answers_total", "bank, status", BANK)),),
        width=12,
        matrix=Matrix("bank", "status", (("executed", "已执行"), ("failed", "未成")), "银行"),
        see="runbooks.md#lanjiebankdoesnotanswer",
    ),
)

ROWS: Final = (Row("黄金时间 · The golden time", NUMBERS + COURSE),)
