"""Why a report was judged as it was: told from what was kept, whatever has become of the rest."""

from pathlib import Path
from uuid import UUID

import pytest

from services.rules import handlers, list_store
from services.rules.conditions import ConditionKind
from shared.events import Level, ReportFiled
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.analyst import a_published_court, cells, everything, folder_of, lanjie, published
from tests.service.rules.builders import (
    HINT,
    NOW,
    PACK,
    SCAM,
    TRACE,
    a_disposition,
    a_filed_report,
    an_entry,
    an_outcome,
    dispose,
    find,
)

STRICT = ('weight: 12, why: "提到{says.task}"', 'weight: 30, alone: true, why: "任务！{says.task}"')
ALTERED_FILE = "update pack_version set files = jsonb_set(files, '{{rules.yaml}}', to_jsonb({})) where version = 2"
SAME, ANOTHER = "judged anew, it is the same", "judged anew, it is another"


async def judge(pool: Pool, *reports: ReportFiled) -> None:
    """Judge by the packs that are released."""
    court = await a_published_court(pool)
    await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])


async def explained(dsn: str, report: UUID) -> str:
    done = await lanjie(dsn, "explain", report)
    assert done.exit_code == 0, done.output
    return done.stdout


async def enter(pool: Pool, *entries: list_store.Entry) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await list_store.add_entries(connection, entries)


async def test_a_verdict_is_explained_rule_by_rule_with_its_facts_and_its_sum(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report("客户说做任务，要转到安全账户", amount_fen=1_234_00)
    await judge(pool, report)
    said = await explained(dsn, report.report_id)
    released = await pool.fetchval("select hash from pack_version where version = 2")
    assert "version 1 2026-11-22 01:30:00 UTC  alert  score 98" in said
    assert f"pack test@2 {released[:12]}\n" in said
    assert "transfer.amount_yuan=1234" in said
    assert cells(said) == [
        ["safe", "20", "says.safe_account", "提到安全账户"],
        ["task", "12", "says.task", "提到做任务"],
    ]
    assert "score = 100 / (1 + 10^(-(-14 + 32) / 10)) = 98" in said
    assert SAME in said


async def test_an_old_verdict_is_explained_the_same_after_packs_lists_and_payees_have_changed(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    entry = an_entry("p", ConditionKind.OVERRIDE, reason="学校 [red]财务[/] 专户")
    await enter(pool, entry)
    report = a_filed_report(HINT, payee_token="p")
    await judge(pool, report)
    before = await explained(dsn, report.report_id)
    assert SAME in before
    assert "list-override" in before
    assert "收款账户在信任名单：学校 [red]财务[/] 专户" in before

    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"))
    async with pool.acquire() as connection:
        await list_store.end_entries(connection, "李四", NOW, ids=[entry.id])
    await enter(pool, an_entry("p", ConditionKind.NON_OVERRIDABLE_BLOCK))
    await find(pool, an_outcome("p", report_ids=(report.report_id,)))
    await dispose(pool, a_disposition(report))
    await judge(pool, *(a_filed_report(SCAM, payee_token=f"q-{place}") for place in range(3)))
    assert await explained(dsn, report.report_id) == before

    for table in ("sighting", "list_entry", "outcome", "aftermath", "branch_day", "outbox", "pack_release"):
        await pool.execute(f"delete from {table}")
    assert await explained(dsn, report.report_id) == before


async def test_all_verdicts_on_a_report_are_explained_each_by_its_own_pack(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT, payee_token="hot")
    await judge(pool, report)
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"))
    court = await a_published_court(pool)
    [again] = (await handlers.apply_outcomes(pool, court, [an_outcome("hot")])).again
    said = await explained(dsn, report.report_id)
    first, second = said.split("\nversion 2 ")
    assert "pack test@2 " in first
    assert "提到做任务" in first
    assert "payee.confirmed" not in first
    assert "pack test@3 " in second
    assert "任务！做任务" in second
    assert "payee.confirmed=True" in second
    assert [text.count(SAME) for text in (first, second)] == [1, 1]
    assert again.event.level is Level.ALERT


@pytest.mark.parametrize(
    ("was", "became"),
    [
        ('"score":39', '"score":38'),
        ('"level":"caution"', '"level":"clear"'),
        ("提到做任务", "提到做做任务"),
        ('"weight":12', '"weight":11'),
        ('"scam_type":"brushing_rebates"', '"scam_type":"romance"'),
        ("核实", "放行"),
    ],
)
async def test_another_is_said_where_the_stored_event_was_altered(
    dsn: str, pool: Pool, tmp_path: Path, was: str, became: str
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    await judge(pool, report)
    altered = await pool.execute(
        "update verdict set event = convert_to(replace(convert_from(event, 'UTF8'), $1, $2), 'UTF8') "
        "where convert_from(event, 'UTF8') like '%' || $1 || '%'",
        was,
        became,
    )
    assert altered == "UPDATE 1"
    said = await explained(dsn, report.report_id)
    assert ANOTHER in said
    assert SAME not in said


@pytest.mark.parametrize(
    "alteration",
    [
        "update verdict set facts = facts || '{\"payee.confirmed\": true}'",
        ALTERED_FILE.format("replace(files ->> 'rules.yaml', 'weight: 12', 'weight: 13')"),
        ALTERED_FILE.format("files ->> 'rules.yaml' || '# '"),
    ],
)
async def test_another_is_said_where_the_facts_or_the_pack_were_altered(
    dsn: str, pool: Pool, tmp_path: Path, alteration: str
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    await judge(pool, report)
    assert await pool.execute(alteration) == "UPDATE 1"
    assert ANOTHER in await explained(dsn, report.report_id)


async def test_a_report_that_is_not_known_is_a_sentence(dsn: str) -> None:
    unknown = new_id()
    done = await lanjie(dsn, "explain", unknown)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"ValueError: no verdict on report {unknown} is kept here\n"


async def test_what_is_no_id_is_a_matter_of_usage(dsn: str) -> None:
    assert (await lanjie(dsn, "explain", "R-2026-1")).exit_code == 2


async def test_an_explanation_shows_no_note_no_account_and_no_person(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    await enter(pool, an_entry("token-of-payee"))
    note = "阿姨住翠竹苑三栋，要把钱转到安全账户 6217000000000002026，女儿叫小雯"
    report = a_filed_report(
        note, payee_token="token-of-payee", payer_token="token-of-payer", payer_person_token="token-of-person"
    )
    await judge(pool, report)
    said = await explained(dsn, report.report_id)
    assert "安全账户" in said
    for secret in ("翠竹苑", "小雯", "6217000000000002026", "token-of", report.narrative, report.identity):
        assert secret not in said


async def test_an_explanation_writes_nothing(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    await judge(pool, report)
    before = await everything(pool)
    assert SAME in await explained(f"{dsn}?default_transaction_read_only=on", report.report_id)
    assert await everything(pool) == before


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"NARRATIVE_KEYS": None}, "set the environment variable NARRATIVE_KEYS"),
        ({"NARRATIVE_KEYS": "n1:" + "A" * 43 + "="}, "the sealed text was altered, cut or belongs to another record"),
        ({"NARRATIVE_KEYS": "n2:" + "A" * 43 + "="}, "no key 'n1' is configured for this seal; see NARRATIVE_KEYS"),
    ],
)
async def test_a_key_that_is_missing_or_does_not_fit_is_a_sentence(
    dsn: str, pool: Pool, tmp_path: Path, keys: dict[str, str | None], said: str
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    await judge(pool, report)
    done = await lanjie(dsn, "explain", report.report_id, **keys)
    assert done.exit_code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_pack_that_this_program_cannot_use_any_more_lists_its_faults(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    await judge(pool, report)
    await pool.execute("""update pack_version set files = '{"pack.yaml": "name: old"}' where version = 2""")
    done = await lanjie(dsn, "explain", report.report_id)
    assert done.exit_code == 1
    assert "pack.yaml:1:1: prior: Field required" in done.stdout


async def test_a_verdict_from_before_there_were_packs_shows_what_was_kept(dsn: str, pool: Pool) -> None:
    report = a_filed_report(HINT)
    await judge(pool, report)
    await pool.execute("update verdict set pack_version = null, pack_hash = null, facts = '{}'")
    said = await explained(dsn, report.report_id)
    assert "the pack of that time is not kept here" in said
    assert SAME not in said
