"""What the panels answer where series are missing, by Prometheus' own arithmetic."""

from pathlib import Path

import pytest
import yaml

from deploy.grafana.boards import INTERCEPTION
from tests.e2e.watching import LOOKED_BACK_SECONDS, filled_in
from tests.ops.test_alert_rules import promtool

MINUTES = LOOKED_BACK_SECONDS // 60
"""Between the beginning of the chosen time and its end."""

Series = dict[str, str]

LEDGER = 'lanjie_money_yuan{job="notifier",instance="%s",kind="reported",bank="ICBC",unit="SZ"}'
ALWAYS = 'lanjie_money_by_type_yuan{job="notifier",instance="n1",kind="reported",scam_type="none"}'
EXPIRING = 'lanjie_stop_orders_expiring{job="notifier",instance="n1",bank="%s"}'
ANSWERS = 'lanjie_order_answers_total{job="notifier",instance="n1",kind="stop",bank="ICBC",status="%s"}'


def panel(title: str) -> str:
    found = next(one for one in INTERCEPTION.panels() if one.title == title)
    return filled_in(found.queries[0].expr)


@pytest.mark.parametrize(
    ("title", "series", "number"),
    [
        ("报告金额", {LEDGER % "n1": "700x20 900x20", LEDGER % "n2": "700x20 900x20"}, 200),
        ("报告金额", {LEDGER % "n1": "_x21 900x20"}, 900),  # the first report there ever was
        ("报告金额", {LEDGER % "n1": "700x10 stale _x14 900x20"}, 200),  # away as the chosen time began
        ("报告金额", {LEDGER % "n1": "700x10 stale _x40"}, None),  # away now: nobody knows, it is not 0
        ("报告金额", {ALWAYS: "0x40"}, 0),  # an empty system
        ("拦截率", {LEDGER % "n1": "700x20 900x20"}, 0),
        ("在控金额", {LEDGER % "n1": "700x40", ALWAYS: "700x40"}, 0),
        ("在控金额", {}, None),
        ("即将到期的止付", {EXPIRING % "": "0x40"}, 0),
        ("即将到期的止付", {EXPIRING % "ICBC": "2x40"}, 2),
        ("即将到期的止付", {}, None),
        ("逾期未催办", {}, None),
        ("逾期未办", {}, None),
        ("银行执行率", {ANSWERS % "failed": "0x20 3x40"}, 0),
        ("银行执行率", {}, None),
    ],
)
def test_a_panel_tells_nothing_from_unknown(tmp_path: Path, title: str, series: Series, number: float | None) -> None:
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": panel(title),
                "eval_time": f"{20 + MINUTES}m",
                "exp_samples": [] if number is None else [{"labels": "{}", "value": number}],
            }
        ],
    }
    path = tmp_path / "case.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}), encoding="utf-8")
    promtool("test", "rules", path)
