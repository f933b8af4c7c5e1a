"""A morning at the counters: told as its story expects, shown in the metrics as documented, and on the dashboards."""

import json
import math
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deploy.local.prometheus import tool
from services.metrics_page import all_metrics
from services.rules.pack.compiling import compile_pack
from shared.metrics import BANKS, BANKS_OR_NONE, RULES, SCAM_TYPES, STATUSES, UNITS, UNITS_OR_NONE, Bound
from tests.e2e.stack import Stack, running_stack
from tests.e2e.watching import asked, choices, try_rules, watching

pytestmark = pytest.mark.timeout(300)

SERVICES = ("intake", "rules", "notifier")
PATIENCE_SECONDS = 120
MANY = 500


@dataclass(frozen=True, slots=True)
class Morning:
    """A run after the demonstration's morning: what it said, and what each service shows."""

    stack: Stack
    said: str
    pages: Mapping[str, str]


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    """Yield a run as a newcomer starts it, whichever broker the other tests run on."""
    with running_stack(Path(tmp_path_factory.mktemp("morning")), DEMO="1", OPS="1", KAFKA="embedded") as stack:
        assert stack.process.stdout
        said = []
        for line in stack.process.stdout:
            said.append(line)
            if "Ctrl-C stops everything" in line:
                break
        with httpx2.Client(timeout=30) as client:
            yield Morning(stack, "".join(said), _shown(stack, client))


def _shown(stack: Stack, client: httpx2.Client) -> dict[str, str]:
    """Return the services' pages, once the money was counted by scam type after all that happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        pages = {service: client.get(f"{stack.info[service]}/metrics").text for service in SERVICES}
        returned = r'^lanjie_money_by_type_yuan\{kind="returned",scam_type="\w+"\} 486000\.0$'
        if re.search(returned, pages["notifier"], re.MULTILINE):
            return pages
        assert time.monotonic() < deadline, "the money was not counted"
        time.sleep(0.5)


def test_it_is_judged_as_its_story_expects(morning: Morning) -> None:
    said = morning.said
    assert "Traceback" not in said
    assert "not as expected" not in said
    for words in ("合计", "止付", "劝阻", "并入已有案件", "重复报送", "签名不符 0 条", "curl"):
        assert words in said
    together = "".join(said.split())  # as the columns of the table break words over lines
    for words in (
        "升级到罗湖分局；秦若楠",
        "延伸止付",
        "解除冻结",
        "沈牧言批准",
        "返还returned¥486,000.00",
        ":0differences",
    ):
        assert words in together


@pytest.mark.parametrize("service", SERVICES)
def test_promtool_finds_nothing_to_say_of_the_metrics(morning: Morning, service: str) -> None:
    command = [str(tool("promtool")), "check", "metrics"]
    done = subprocess.run(command, input=morning.pages[service], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_documented_is_shown_and_what_is_shown_is_documented(morning: Morning, service: str) -> None:
    shown = dict(re.findall(r"^# TYPE (\S+) (\S+)$", morning.pages[service], re.MULTILINE))
    assert shown == {one.name: one.type for one in all_metrics()[service]}


def samples(page: str) -> Iterator[tuple[str, Sample]]:
    """Yield each sample with the name of its metric as it is documented."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            yield f"{family.name}_total" if family.type == "counter" else family.name, sample


async def known(stack: Stack) -> Mapping[Bound, set[str]]:
    """What the codes are that people maintain."""
    async with stack.database("notifier") as connection:
        units = {row["code"] for row in await connection.fetch("select code from unit")}
        scam_types = {row["code"] for row in await connection.fetch("select code from scam_type")}
    async with stack.database("intake") as connection:
        banks = {row["code"] for row in await connection.fetch("select code from bank")}
    async with stack.database("rules") as connection:
        packs = [json.loads(row["files"]) for row in await connection.fetch("select files from pack_version")]
    return {
        BANKS: banks,
        BANKS_OR_NONE: banks | {""},
        UNITS: units,
        UNITS_OR_NONE: units | {""},
        SCAM_TYPES: scam_types | {"none"},
        RULES: {rule.id for files in packs for rule in compile_pack(files).rules},
        STATUSES: {str(status) for status in range(400, 600)},
    }


async def test_every_label_value_is_one_of_few(morning: Morning) -> None:
    codes = await known(morning.stack)
    looked_at = 0
    for service, page in morning.pages.items():
        documented = {one.name: one for one in all_metrics()[service]}
        for name, sample in samples(page):
            bounds = documented[name].labels
            assert sample.labels.keys() - {"le"} == bounds.keys(), sample
            for label, bound in bounds.items():
                allowed = codes.get(bound, set(bound.values))
                assert sample.labels[label] in allowed or name == "lanjie_build_info", sample
                looked_at += 1
    assert looked_at > MANY


def test_it_shows_in_the_money_the_times_and_the_verdicts(morning: Morning) -> None:
    values: dict[str, float] = {}
    for service in SERVICES:
        for _, sample in samples(morning.pages[service]):
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    for name in (
        *("lanjie_reports_accepted_total", "lanjie_bank_last_report_timestamp_seconds", "lanjie_verdicts_total"),
        *("lanjie_dispositions_against_verdict_total", "lanjie_findings_against_verdict_total", "lanjie_money_yuan"),
        *("lanjie_acknowledgement_seconds_count", "lanjie_order_answers_total", "lanjie_stage_seconds_count"),
        *("lanjie_ledger_checked_timestamp_seconds", "process_cpu_seconds_total", "lanjie_build_info"),
    ):
        assert values[name] > 0, name
    assert values["lanjie_ledger_differences"] == 0


async def test_every_panel_of_every_dashboard_has_data(morning: Morning) -> None:
    await try_rules(morning.stack)
    empty: list[str] = []
    still: dict[str, bool] = {}
    unnamed: list[str] = []
    async with watching(morning.stack) as watched:
        for one in asked():
            found = await watched.series(one.target)
            numbers = [value for series in found for value in series.numbers if math.isfinite(value)]
            if not numbers:
                empty.append(f"{one.panel}: {one.target['expr']}")
            still[one.panel] = still.get(one.panel, not one.quiet) and not any(numbers)
            named = set(re.findall(r"{{(\w+)}}", one.target["legendFormat"]))
            # what is 0 only because nothing was found has no labels
            unnamed += [one.panel for series in found if series.labels and not named <= series.labels.keys()]
        assert [query for query in choices() if not await watched.choices(query)] == []
    assert empty == []
    assert [panel for panel, at_zero in still.items() if at_zero] == [], "0 all morning, though not only in trouble"
    assert unnamed == []
