"""Processes: which version runs, what it costs, whether the database answers; for ops."""

from functools import partial
from typing import Final

from deploy.grafana.asking import STEP, or_none
from deploy.grafana.board import Colour, Matrix, Panel, Query, Row, Unit, number, table

OURS: Final = 'job=~"intake|rules|notifier"'
each = partial(Panel, width=6)

PANELS: Final = (
    number(
        "Database up",
        "Which part of the replicas reach their database? Below 100 %: PostgreSQL is away for some; banks are answered "
        "503.",
        Unit.SHARE,
        (Query("avg(lanjie_database_up)"),),
        base=Colour.BAD,
        steps=((1, Colour.GOOD),),
        see="runbooks.md#lanjiedatabasedown",
    ),
    number(
        "Screens on the stream",
        "How many officers' screens follow the alerts? All gone at once: the proxy in front, or a restart; they come "
        "back.",
        Unit.COUNT,
        (Query("sum(lanjie_stream_readers)"),),
        quiet=True,
        see="performance.md#many-screens-on-the-alert-stream",
    ),
    table(
        "Versions at work",
        "Does every replica run the same software? Two versions during an upgrade are usual; for longer: it stopped "
        "half way.",
        Unit.COUNT,
        (Query("sum by (service, version) (lanjie_build_info)"),),
        width=8,
        height=4,
        matrix=Matrix("service", "version"),
        see="runbooks.md#lanjieversionsdiffer",
    ),
    table(
        "Replicas up",
        "How many replicas answer Prometheus, of each service? `0` in a column of downs: read that service's log.",
        Unit.COUNT,
        (Query(f'count_values by (job) ("up", up{{{OURS}}})'),),
        width=8,
        height=4,
        matrix=Matrix("job", "up", (("1", "up"), ("0", "down"))),
        see="runbooks.md#lanjiereplicadown",
    ),
    each(
        "Processor time",
        "How many processors does a replica use? Near 1: it can do no more, being one process; add a replica.",
        Unit.COUNT,
        (Query(f"rate(process_cpu_seconds_total{{{OURS}}}[{STEP}])", "{{job}} {{instance}}"),),
        see="scaling.md#what-a-report-costs",
    ),
    each(
        "Memory",
        "How much memory does a replica hold? A slope over days: a leak, restart it one by one and tell us.",
        Unit.BYTES,
        (Query(f"process_resident_memory_bytes{{{OURS}}}", "{{job}} {{instance}}"),),
        see="scaling.md#processes",
    ),
    each(
        "Open files and connections",
        "How many files and connections are open? Near the process's limit new ones are refused: raise it, or find who "
        "leaves them open.",
        Unit.COUNT,
        (Query(f"process_open_fds{{{OURS}}}", "{{job}} {{instance}}"),),
        see="metrics.md",
    ),
    each(
        "Restarts",
        "Which processes were started in the last hour? Again and again: the watchdog, memory, or a refusal at start; "
        "the log's last lines say which.",
        Unit.COUNT,
        (Query(or_none(f"sum by (job) (changes(process_start_time_seconds{{{OURS}}}[1h]))"), "{{job}}"),),
        quiet=True,
        see="runbooks.md#lanjierestarting",
    ),
)

ROWS: Final = (Row("Processes, database, memory", PANELS),)
