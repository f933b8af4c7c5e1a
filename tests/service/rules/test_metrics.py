"""What operations see of the judge: counted once a verdict, under names that come from the packs."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from services.rules import app, handlers, list_store
from services.rules.conditions import ConditionKind
from services.rules.handlers import Taken
from services.rules.metrics import Metrics
from services.rules.packs import Packs
from shared.events import DispositionOutcome, Finding, Level, ReportFiled
from shared.postgres import Pool
from tests.parts import KEY_BYTES, NOWHERE
from tests.service.rules.analyst import a_published_court, folder_of, published
from tests.service.rules.builders import (
    HINT,
    PACK,
    SCAM,
    TRACE,
    a_disposition,
    a_filed_report,
    ago,
    an_entry,
    an_outcome,
)

SHADOW_RULE = (
    "rules:\n",
    """rules:
  - {id: cheap, title: 小额, when: transfer.amount_yuan <= 3000, weight: 30, alone: true, why: 小额, status: shadow}
""",
)
STRICT = ('weight: 12, why: "提到{says.task}"', 'weight: 30, alone: true, why: "提到{says.task}"')
NO_ANSWER = (
    "rules:\n",
    """rules:
  - {id: broken, title: 无解, when: 100 / (payer.age - 40) > 7, weight: 2, why: 无解}
""",
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"lanjie_{name}", labels)


async def judge(pool: Pool, *reports: ReportFiled) -> Taken:
    court = await a_published_court(pool)
    return await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])


async def test_verdicts_are_counted_by_level_and_scam_type_and_rules_by_name(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path))
    metrics.count(await judge(pool, *(a_filed_report(note) for note in ("", HINT, HINT, SCAM))))
    assert value(metrics, "verdicts_total", level="clear", scam_type="none") == 1
    assert value(metrics, "verdicts_total", level="caution", scam_type="brushing_rebates") == 2
    assert value(metrics, "verdicts_total", level="alert", scam_type="impersonated_authority") == 1
    assert value(metrics, "rule_hits_total", rule="task") == 2
    assert value(metrics, "rule_hits_total", rule="safe") == 1
    assert value(metrics, "rule_hits_total", rule="alerted") is None
    assert value(metrics, "judged_together_sum") == 4
    assert value(metrics, "judged_together_count") == 1


async def test_a_second_delivery_is_not_counted(dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    for _ in range(2):
        metrics.count(await judge(pool, report))
    assert value(metrics, "verdicts_total", level="caution", scam_type="brushing_rebates") == 1
    assert value(metrics, "judged_together_count") == 1


async def test_the_way_from_the_bank_to_the_verdict_is_measured_in_seconds(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path))
    metrics.count(await judge(pool, a_filed_report(filed_at=ago(seconds=7)), a_filed_report(filed_at=ago(seconds=-3))))
    assert value(metrics, "accepted_to_judged_seconds_sum") == 7
    assert value(metrics, "accepted_to_judged_seconds_count") == 2


async def test_a_rule_without_an_answer_is_counted_by_name(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path, PACK, NO_ANSWER))
    taken = await judge(pool, a_filed_report(HINT, payer_age=40), a_filed_report(HINT, payer_age=50))
    metrics.count(taken)
    assert value(metrics, "rule_failures_total", rule="broken") == 1
    assert value(metrics, "rule_hits_total", rule="broken") == 1
    assert value(metrics, "rule_hits_total", rule="task") == 2


async def test_a_list_entry_is_counted_by_its_kind_and_as_no_rule(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path))
    async with pool.acquire() as connection, connection.transaction():
        await list_store.add_entries(connection, [an_entry("p", ConditionKind.OVERRIDE), an_entry("q")])
    metrics.count(await judge(pool, *(a_filed_report(payee_token=payee) for payee in ("p", "q", "q", "r"))))
    assert value(metrics, "list_entries_applied_total", kind="override") == 1
    assert value(metrics, "list_entries_applied_total", kind="overridable_block") == 2
    assert value(metrics, "rule_hits_total", rule="list-override") is None


async def test_second_verdicts_are_counted_apart(dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics) -> None:
    await published(dsn, folder_of(tmp_path))
    metrics.count(await judge(pool, a_filed_report(payee_token="hot"), a_filed_report(HINT, payee_token="hot")))
    court = await a_published_court(pool)
    metrics.count(await handlers.apply_outcomes(pool, court, [an_outcome("hot")]))
    assert value(metrics, "judged_again_total", level="alert") == 2
    assert value(metrics, "judged_together_count") == 1
    assert value(metrics, "rule_hits_total", rule="confirmed") is None


async def test_how_visits_ended_is_counted_once_by_the_level_that_the_teller_was_told(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path))
    reports = [a_filed_report(note) for note in ("", HINT, SCAM)]
    metrics.count(await judge(pool, *reports))
    ended = [
        a_disposition(report, outcome, at=ago(seconds=1))
        for report, outcome in zip(reports, DispositionOutcome, strict=True)
    ]
    for _ in range(2):
        metrics.count_dispositions(await handlers.record_dispositions(pool, ended))
    found = {
        (level.value, outcome.value): value(metrics, "dispositions_against_verdict_total", level=level, outcome=outcome)
        for level in Level
        for outcome in DispositionOutcome
    }
    assert sum(number or 0 for number in found.values()) == 3
    for pair in (("clear", "cancelled"), ("caution", "proceeded"), ("alert", "already_sent")):
        assert found[pair] == 1


async def test_what_the_police_found_is_counted_by_the_level_of_each_report(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path))
    right, wrong = a_filed_report(SCAM, payee_token="p"), a_filed_report(SCAM, payee_token="q")
    metrics.count(await judge(pool, right, wrong))
    outcomes = [
        an_outcome("p", report_ids=(right.report_id,)),
        an_outcome("q", Finding.UNFOUNDED, report_ids=(wrong.report_id,)),
    ]
    court = await a_published_court(pool)
    for _ in range(2):
        metrics.count(await handlers.apply_outcomes(pool, court, outcomes))
    assert value(metrics, "findings_against_verdict_total", level="alert", finding="confirmed") == 1
    assert value(metrics, "findings_against_verdict_total", level="alert", finding="unfounded") == 1
    assert value(metrics, "findings_against_verdict_total", level="clear", finding="confirmed") == 0


async def test_what_the_shadow_would_have_said_is_counted(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    large = a_filed_report(HINT, amount_fen=9_000_000)
    metrics.count(await judge(pool, a_filed_report(), a_filed_report(HINT), large))
    assert value(metrics, "shadow_rule_hits_total", rule="cheap") == 2
    assert value(metrics, "rule_hits_total", rule="cheap") is None
    assert value(metrics, "shadow_verdicts_total", of="rules", level="clear", would_be="alert") == 1
    assert value(metrics, "shadow_verdicts_total", of="rules", level="caution", would_be="alert") == 1
    assert value(metrics, "shadow_verdicts_total", of="pack", level="caution", would_be="alert") == 2
    assert value(metrics, "shadow_verdicts_total", of="pack", level="clear", would_be="clear") == 1
    assert value(metrics, "verdicts_total", level="alert", scam_type="brushing_rebates") is None


async def test_the_packs_of_a_replica_are_shown_and_those_it_cannot_load(
    dsn: str, pool: Pool, tmp_path: Path, metrics: Metrics
) -> None:
    metrics.show_packs(None, 0)
    assert value(metrics, "rule_pack_version", role="live") == 0
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    packs = Packs(pool)
    await packs.look()
    metrics.show_packs(packs.now, packs.refused)
    assert value(metrics, "rule_pack_version", role="live") == 2
    assert value(metrics, "rule_pack_version", role="shadow") == 3
    assert value(metrics, "rule_packs_refused") == 0
    await pool.execute("update pack_version set files = '{}' where version = 1")
    await pool.execute("insert into pack_release (role, version) values ('live', 1), ('shadow', null)")
    await packs.look()
    metrics.show_packs(packs.now, packs.refused)
    assert value(metrics, "rule_pack_version", role="live") == 2
    assert value(metrics, "rule_pack_version", role="shadow") == 0
    assert value(metrics, "rule_packs_refused") == 1


async def test_the_service_shows_its_packs_and_says_when_there_is_none(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await pool.execute("delete from pack_release")
    settings = app.RulesSettings(
        database_url=dsn, kafka_bootstrap_servers=NOWHERE, port=0, narrative_keys=f"n1:{KEY_BYTES}"
    )
    built = app.build(settings)
    transport = httpx2.ASGITransport(app=built)
    async with (
        built.router.lifespan_context(built),
        httpx2.AsyncClient(transport=transport, base_url="http://rules") as client,
    ):

        async def shown(path: str) -> str:
            return (await client.get(path)).text

        assert '"rule_pack":"none published"' in await shown("/health/ready")
        assert 'lanjie_rule_pack_version{role="live"} 0.0' in await shown("/metrics")
        await published(dsn, folder_of(tmp_path))
        async with asyncio.timeout(20):
            while '"rule_pack":"ok"' not in await shown("/health/ready"):
                pass
        assert 'lanjie_rule_pack_version{role="live"} 2.0' in await shown("/metrics")
