"""Analysts' lists by command: what is taken, what is refused and why, and what follows at the counters."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from services.rules import handlers
from services.rules.commands.lists import MOST_LINES
from shared.events import Level, ReportFiled, VerdictReached
from shared.postgres import Pool
from tests.parts import TOKENS
from tests.service.rules.analyst import a_published_court, cells, everything, folder_of, lanjie, published
from tests.service.rules.builders import SCAM, TRACE, a_filed_report

ACCOUNT, OTHER = "6217000000000002026", "44050000000001"
HEADER = "subject,account,condition,reason,scam_type,expires_at"
NOTHING_ELSE = (
    "condition is ''; it is one of non_overridable_block, override, overridable_block; "
    "account is not a number; reason is empty; tellers and police are shown it"
)
BLOCK, OVERRIDE, HARD_BLOCK = "overridable_block", "override", "non_overridable_block"


def token(account: str = ACCOUNT) -> str:
    return TOKENS.of("account", account)


def just_filed(note: str = "", account: str = ACCOUNT, minutes: int = 0) -> ReportFiled:
    """A report on an account, filed so many minutes ago by the server's clock."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return a_filed_report(note, payee_token=token(account), filed_at=at, observed_at=at)


async def judge(pool: Pool, *reports: ReportFiled) -> list[VerdictReached]:
    court = await a_published_court(pool, datetime.now(UTC))
    taken = await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])
    return [one.event for one in taken.fresh]


async def added(dsn: str, condition: str = BLOCK, account: str = ACCOUNT, *words: object) -> Result:
    return await lanjie(
        dsn, "lists", "add", "--account", account, "--condition", condition, "--reason", "群众举报", "--author", "张三",
        *words
    )  # fmt: skip


async def imported(dsn: str, folder: Path, *lines: str, encoding: str = "utf-8") -> Result:
    """Import a file of lines; the first is its header."""
    file = folder / "list.csv"
    file.write_bytes("\r\n".join((*lines, "")).encode(encoding))
    return await lanjie(dsn, "lists", "import", file, "--author", "张三")


async def entries(pool: Pool) -> list[tuple[object, ...]]:
    rows = await pool.fetch(
        "select subject, token, condition, reason, scam_type, author, source from list_entry order by id"
    )
    return sorted(map(tuple, rows), key=str)


async def shown(dsn: str, *words: object) -> list[list[str]]:
    return cells((await lanjie(dsn, "lists", "list", *words)).stdout)


async def test_an_entry_counts_in_the_next_verdict_until_it_is_ended(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    [before] = await judge(pool, just_filed(minutes=90))
    said = (await added(dsn, BLOCK, ACCOUNT, "--scam-type", "brushing_rebates")).stdout
    [listed] = await judge(pool, just_filed())
    [[entry, *_]] = await shown(dsn)
    assert said == f"entry {entry} is in force\n"
    assert (await lanjie(dsn, "lists", "end", "--entry", entry, "--author", "李四")).stdout == "1 ended\n"
    [after] = await judge(pool, just_filed())
    assert [one.level for one in (before, listed)] == [Level.CLEAR, Level.ALERT]
    assert (listed.scam_type, listed.findings[0].why) == ("brushing_rebates", "收款账户在关注名单：群众举报")
    assert "alerted" in {one.rule for one in after.findings}
    assert "list-overridable-block" not in {one.rule for one in after.findings}


async def test_spaces_in_an_account_number_make_no_other_account(dsn: str, pool: Pool) -> None:
    await added(dsn, BLOCK, " 6217 0000 0000 0002 026 ")
    assert [entry[1] for entry in await entries(pool)] == [token()]
    ended = await lanjie(dsn, "lists", "end", "--account", "6217 0000 0000 0002 026", "--author", "李四")
    assert ended.stdout == "1 ended\n"


async def test_a_customers_account_may_be_listed_too(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    await added(dsn, HARD_BLOCK, OTHER, "--subject", "payer")
    [verdict] = await judge(pool, a_filed_report(payer_token=token(OTHER), filed_at=datetime.now(UTC)))
    assert (verdict.level, verdict.findings[0].why) == (Level.ALERT, "付款账户在关注名单：群众举报")


@pytest.mark.parametrize(
    ("conditions", "note", "level", "rule"),
    [
        ([OVERRIDE], SCAM, Level.CAUTION, "list-override"),
        ([BLOCK, OVERRIDE], SCAM, Level.CAUTION, "list-override"),
        ([OVERRIDE, BLOCK], "", Level.CLEAR, "list-override"),
        ([OVERRIDE, HARD_BLOCK], "", Level.ALERT, "list-non-overridable-block"),
        ([HARD_BLOCK, OVERRIDE, BLOCK], "", Level.ALERT, "list-non-overridable-block"),
    ],
)
async def test_an_override_beats_an_overridable_block_and_not_an_unconditional_one(
    dsn: str, pool: Pool, tmp_path: Path, conditions: list[str], note: str, level: Level, rule: str
) -> None:
    await published(dsn, folder_of(tmp_path))
    for condition in conditions:
        await added(dsn, condition)
    [verdict] = await judge(pool, just_filed(note))
    assert (verdict.level, verdict.findings[0].rule) == (level, rule)


async def test_an_entry_ends_by_itself_when_its_time_has_come(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    soon = datetime.now(UTC) + timedelta(hours=1)
    await added(dsn, BLOCK, ACCOUNT, "--expires", soon.isoformat())
    court = await a_published_court(pool, soon)
    taken = await handlers.judge_reports(pool, court, [(just_filed(), TRACE)])
    assert taken.fresh[0].event.findings == ()
    [verdict] = await judge(pool, just_filed(account=ACCOUNT))
    assert verdict.level is Level.ALERT
    await pool.execute("update list_entry set expires_at = now()")
    assert await shown(dsn) == []
    assert len(await shown(dsn, "--all")) == 1


async def test_a_new_block_judges_the_payees_reports_of_the_last_hour_again_once(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    late, recent, other = just_filed(minutes=70), just_filed(minutes=50), just_filed(account=OTHER, minutes=50)
    await judge(pool, late, recent, other)
    await added(dsn)
    court = await a_published_court(pool, datetime.now(UTC))
    taken = await handlers.apply_entries(pool, court)
    [again] = [one.event for one in taken.again]
    assert (again.report.report_id, again.version, again.level) == (recent.report_id, 2, Level.ALERT)
    assert again.findings[0].rule == "list-overridable-block"
    assert [row.id for row in taken.rows] == [again.verdict_id]
    assert await pool.fetchval("select awaits_answer from outbox where id = $1", again.verdict_id)
    assert (await handlers.apply_entries(pool, court)).again == []


async def test_an_imported_block_judges_again_too_and_an_override_does_not(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    await judge(pool, just_filed(minutes=5), just_filed(SCAM, OTHER, minutes=5))
    await imported(
        dsn, tmp_path, HEADER, f"payee,{ACCOUNT},{HARD_BLOCK},省厅通报,,", f"payee,{OTHER},{OVERRIDE},学校专户,,"
    )
    taken = await handlers.apply_entries(pool, await a_published_court(pool, datetime.now(UTC)))
    assert [one.event.report.payee_token for one in taken.again] == [token()]


async def test_a_file_is_taken_line_by_line_and_every_other_line_is_named_with_the_reason(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    done = await imported(
        dsn,
        tmp_path,
        HEADER,
        f"payee,{ACCOUNT},{BLOCK},省厅通报涉案账户,fake_loan,2099-01-01T00:00:00+08:00",
        f"payees,{ACCOUNT},{BLOCK},省厅通报,,",
        "",
        f"payee,{ACCOUNT},block,省厅通报,,",
        f"payer,{OTHER},{OVERRIDE},学校财务专户,,",
        f"payee,6217-0000,{BLOCK},省厅通报,,",
        f"payee,{ACCOUNT},{BLOCK}, ,,",
        f"payee,{ACCOUNT},{BLOCK},省厅通报,,2099年1月1日",
        f"payee,{ACCOUNT},{BLOCK},省厅通报,,2099-01-01T00:00:00",
        f"payee,{ACCOUNT},{BLOCK},省厅通报,,2020-01-01T00:00:00+08:00",
        f"payee,{ACCOUNT},{BLOCK},省厅通报,,,more",
        "payee",
        "   ",
        f"payee,{ACCOUNT},{HARD_BLOCK},[red]真的[/],,",
    )
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "list.csv:3 subject is 'payees'; it is one of payee, payer",
        "list.csv:5 condition is 'block'; it is one of non_overridable_block, override, overridable_block",
        "list.csv:7 account is not a number",
        "list.csv:8 reason is empty; tellers and police are shown it",
        "list.csv:9 2099年1月1日 is not a time; write 2027-01-01T00:00:00+08:00",
        "list.csv:10 2099-01-01T00:00:00 has no time zone: write 2099-01-01T00:00:00+08:00",
        "list.csv:11 expires_at is past, or not after starts_at",
        "list.csv:12 has more cells than the header",
        f"list.csv:13 {NOTHING_ELSE}",
        f"list.csv:14 subject is ''; it is one of payee, payer; {NOTHING_ELSE}",
        "3 added, 0 there already, 10 refused",
    ]
    assert await entries(pool) == [
        ("payee", token(), HARD_BLOCK, "[red]真的[/]", None, "张三", "analyst"),
        ("payee", token(), BLOCK, "省厅通报涉案账户", "fake_loan", "张三", "analyst"),
        ("payer", token(OTHER), OVERRIDE, "学校财务专户", None, "张三", "analyst"),
    ]


async def test_the_same_file_twice_adds_nothing_whoever_imports_it(dsn: str, pool: Pool, tmp_path: Path) -> None:
    lines = (HEADER, f"payee,{ACCOUNT},{BLOCK},省厅通报,,", f"payee,{OTHER},{OVERRIDE},学校专户,,")
    first = await imported(dsn, tmp_path, *lines)
    assert (first.exit_code, first.stdout) == (0, "2 added, 0 there already, 0 refused\n")
    before = await everything(pool)
    again = await imported(dsn, tmp_path, *lines, lines[1])
    assert (again.exit_code, again.stdout) == (0, "0 added, 3 there already, 0 refused\n")
    assert await everything(pool) == before


async def test_the_same_line_twice_in_a_file_is_one_entry_and_each_other_condition_another(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    line = f"payee,{ACCOUNT},{BLOCK},省厅通报,,"
    done = await imported(dsn, tmp_path, HEADER, line, line, line.replace(BLOCK, HARD_BLOCK), line.replace("省", "市"))
    assert done.stdout == "3 added, 1 there already, 0 refused\n"
    assert await pool.fetchval("select count(*) from list_entry") == 3


async def test_a_file_as_a_spreadsheet_writes_it_is_read(dsn: str, pool: Pool, tmp_path: Path) -> None:
    done = await imported(
        dsn,
        tmp_path,
        "reason,condition,account,subject,我的备注",
        f'"群众举报，\n已核实",{BLOCK},{ACCOUNT},payee,"a, b"',
        encoding="utf-8-sig",
    )
    assert (done.exit_code, done.stdout) == (0, "1 added, 0 there already, 0 refused\n")
    assert [entry[:4] for entry in await entries(pool)] == [("payee", token(), BLOCK, "群众举报，\n已核实")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "list.csv:1 the header has no subject, account, condition, reason; it is subject,account,condition"),
        (("subject;account;condition;reason",), "list.csv:1 the header has no subject, account, condition, reason"),
        (("subject,account,condition", "payee,1,override"), "list.csv:1 the header has no reason; it is"),
        (('"subject"x,account', "payee,1"), "list.csv:1 is not CSV, here or soon after: "),
        (
            (HEADER, f"payee,{OTHER},override,a,,", 'payee,1,override,"b,,', "payee,2,override,c,,"),
            "list.csv:3 is not CSV, here or soon after: unexpected end of data; no more was read",
        ),
    ],
)
async def test_what_is_no_such_file_is_named_and_not_guessed_at(
    dsn: str, pool: Pool, tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    done = await imported(dsn, tmp_path, *lines)
    assert done.exit_code == 1
    assert done.stdout.startswith(said)
    assert len(await entries(pool)) == (1 if len(lines) > 2 else 0)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
async def test_a_file_in_another_encoding_is_refused_in_a_line(
    dsn: str, pool: Pool, tmp_path: Path, encoding: str
) -> None:
    done = await imported(dsn, tmp_path, HEADER, f"payee,{ACCOUNT},{BLOCK},省厅通报涉案账户,,", encoding=encoding)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "list.csv:1 is not UTF-8, here or soon after: save the file as UTF-8; no more was read",
        "0 added, 0 there already, 1 refused",
    ]
    assert await entries(pool) == []


async def test_a_file_is_read_to_the_hundred_thousandth_line_and_no_further(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    lines = [HEADER, *(f"payee,{number},{BLOCK},通报,," for number in range(MOST_LINES + 20))]
    done = await imported(dsn, tmp_path, *lines)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"list.csv:{MOST_LINES + 1} more than {MOST_LINES} lines; split the file",
        f"{MOST_LINES - 1} added, 0 there already, 1 refused",
    ]
    assert await pool.fetchval("select count(*) from list_entry") == MOST_LINES - 1


async def test_no_account_number_is_in_the_database_or_in_any_output(dsn: str, pool: Pool, tmp_path: Path) -> None:
    outputs = [
        await added(dsn),
        await added(dsn, "override", "6217-0000-0002-026"),
        await imported(dsn, tmp_path, HEADER, f"payee,{OTHER},{BLOCK},通报,,", f"payee,{OTHER}-1,{BLOCK},通报,,"),
        await lanjie(dsn, "lists", "list"),
        await lanjie(dsn, "lists", "end", "--account", ACCOUNT, "--author", "李四"),
        await lanjie(dsn, "lists", "list", "--all"),
    ]
    text = "".join(one.output for one in outputs) + str(await everything(pool))
    assert text.count(token()) == 1  # in the database alone
    for account in (ACCOUNT, OTHER, "6217-0000-0002-026"):
        assert account not in text


async def test_entries_are_listed_the_latest_first_with_who_and_until_when(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await imported(dsn, tmp_path, HEADER, f"payee,{ACCOUNT},{BLOCK},[b]通报[/b],,2099-01-01T00:00:00+00:00")
    await added(dsn, OVERRIDE, OTHER, "--subject", "payer")
    payer, payee = await shown(dsn)
    assert payer[1:5] == ["payer", OVERRIDE, "群众举报", "张三 (analyst)"]
    assert [*payee[1:5], *payee[6:]] == ["payee", BLOCK, "[b]通报[/b]", "张三 (analyst)", "2099-01-01 00:00", ""]
    assert await shown(dsn, "--limit", 1) == [payer]
    await lanjie(dsn, "lists", "end", "--entry", payer[0], "--author", "李四")
    assert await shown(dsn) == [payee]
    assert [row[-1].endswith(" 李四") for row in await shown(dsn, "--all")] == [True, False]
    assert await pool.fetchval("select count(*) from list_entry") == 2


async def test_an_entrys_id_can_be_copied_from_a_narrow_terminal(dsn: str, pool: Pool) -> None:
    await added(dsn)
    entry = await pool.fetchval("select id from list_entry")
    assert str(entry) in (await lanjie(dsn, "lists", "list", COLUMNS="80")).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--account", "6217-0000"), "account is not a number"),
        (("--account", ""), "account is not a number"),
        (("--reason", " "), "reason is empty"),
        (("--expires", "tomorrow"), "tomorrow is not a time; write 2027-01-01T00:00:00+08:00"),
        (("--expires", "2020-01-01T00:00:00+08:00"), "expires_at is past"),
    ],
)
async def test_an_entry_that_cannot_be_taken_is_a_sentence(
    dsn: str, pool: Pool, words: tuple[str, ...], said: str
) -> None:
    done = await added(dsn, BLOCK, ACCOUNT, *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert await entries(pool) == []


async def test_ending_what_is_not_there_ends_nothing_and_ending_nothing_is_a_sentence(dsn: str, pool: Pool) -> None:
    await added(dsn)
    assert (await lanjie(dsn, "lists", "end", "--account", OTHER, "--author", "李四")).stdout == "0 ended\n"
    done = await lanjie(dsn, "lists", "end", "--author", "李四")
    assert done.exit_code == 1
    assert done.stderr == "ValueError: name an --entry or an --account\n"
    assert await pool.fetchval("select count(*) from list_entry where ended_at is null") == 1


@pytest.mark.parametrize("words", [("add",), ("import",), ("end", "--account", ACCOUNT)])
@pytest.mark.parametrize("key", [None, "not base64!"])
async def test_without_a_key_there_is_no_token_and_a_sentence(
    dsn: str, pool: Pool, tmp_path: Path, words: tuple[str, ...], key: str | None
) -> None:
    (tmp_path / "list.csv").write_text(f"{HEADER}\npayee,{ACCOUNT},{BLOCK},通报,,\n")
    more = {
        "add": ("--account", ACCOUNT, "--condition", BLOCK, "--reason", "通报"),
        "import": (str(tmp_path / "list.csv"),),
        "end": (),
    }[words[0]]
    done = await lanjie(dsn, "lists", *words, *more, "--author", "张三", TOKEN_KEY=key)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert await entries(pool) == []


async def test_a_file_that_is_not_there_is_a_sentence(dsn: str, tmp_path: Path) -> None:
    done = await lanjie(dsn, "lists", "import", tmp_path / "nowhere.csv", "--author", "张三")
    assert done.exit_code == 1
    assert done.stderr.startswith("FileNotFoundError: ")
