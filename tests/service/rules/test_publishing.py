"""Analysts publish packs, look at them, and go back: the commands, on a real database."""

import asyncio
from pathlib import Path

import pytest

from services.rules import pack_store
from shared.postgres import Pool
from tests.service.rules.analyst import cells, everything, folder_of, following, lanjie, published, until
from tests.service.rules.builders import PACK, until_waiting

HEAVIER = ('weight: 12, why: "提到{says.task}"', 'weight: 13, why: "提到{says.task}"')
FAULTY = ("when: says.task, ", "when: says.tsak, ")


async def releases(pool: Pool) -> list[tuple[object, ...]]:
    """Role, version and author of all releases after the first, which the template made."""
    return [tuple(row) for row in await pool.fetch("select role, version, author from pack_release order by id")][1:]


def place(text: str, words: str) -> str:
    """Line and column of words in a file."""
    at = text.index(words)
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


async def test_a_published_pack_is_in_force_on_another_replica_within_two_seconds(
    dsn: str, other_pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    async with following(other_pool) as packs:
        before = packs.now
        assert before
        assert before.live.label() == "reference@1"
        said = await published(dsn, folder)
        await until(lambda: packs.now is not before, within=2)
        assert packs.now
        assert packs.now.live.label() == "test@2"
    assert (
        said
        == f"version 2 is live: test {packs.now.live.pack.hash[:12]}: 6 rules, 2 phrases; 16 points make an alert\n"
    )


async def test_equal_files_are_one_version_however_often_they_are_published(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder, same = folder_of(tmp_path), folder_of(tmp_path, dict(reversed(PACK.items())), name="same")
    for one in (folder, same, folder):
        assert "version 2 " in await published(dsn, one)
    assert await pool.fetchval("select count(*) from pack_version") == 2
    assert await releases(pool) == [("live", 2, "张三")] * 3


async def test_other_files_are_another_version_and_the_first_is_kept(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    assert "version 3 " in await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
    kept = await pack_store.stored(pool, 2)
    assert kept
    assert (kept.name, kept.files) == ("test", PACK)


@pytest.mark.parametrize(
    "words",
    [("check",), ("publish", "--author", "张三"), ("diff",), ("names",), ("backtest", "--since", "1d", "--pack")],
)
async def test_a_pack_that_is_refused_changes_nothing_and_its_faults_name_file_line_and_column(
    dsn: str, pool: Pool, tmp_path: Path, words: tuple[str, ...]
) -> None:
    before = await everything(pool)
    folder = folder_of(tmp_path, PACK, FAULTY, ("weight: 20, alone: true", "weight: 20"))
    text = (folder / "rules.yaml").read_text()
    done = await lanjie(dsn, *words, folder)
    assert done.exit_code == 1
    safe, task, end = done.stdout.splitlines()
    assert safe.startswith(f"rules.yaml:{place(text, '20, why')}: safe would make an alert alone (say `alone: true`")
    assert task.startswith(f"rules.yaml:{place(text, 'says.tsak')}: ")
    assert "says.task" in task
    assert end == "2 to mend; nothing was changed"
    assert await everything(pool) == before


async def test_what_is_no_pack_at_all_is_refused_in_a_line(dsn: str, tmp_path: Path) -> None:
    done = await lanjie(dsn, "publish", tmp_path / "nowhere", "--author", "张三")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{tmp_path}/nowhere:1:1: is not a pack")


async def test_a_rollback_goes_to_the_version_before_and_the_next_one_further_back(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
    live = []
    for _ in range(2):
        done = await lanjie(dsn, "rollback", "--author", "李四", "--note", "误报太多")
        assert done.exit_code == 0
        live.append((await pack_store.in_force(pool))["live"])
    assert live == [2, 1]
    assert done.stdout == "version 1 is live again\n"
    assert (await releases(pool))[-1] == ("live", 1, "李四")
    assert (await lanjie(dsn, "rollback", "--author", "李四")).exit_code == 1
    assert await pack_store.in_force(pool) == {"live": 1}


async def test_a_version_that_was_published_twice_in_a_row_is_not_the_one_before_itself(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    for _ in range(2):
        await published(dsn, folder)
    await lanjie(dsn, "rollback", "--author", "李四")
    assert await pack_store.in_force(pool) == {"live": 1}


async def test_a_rollback_goes_to_any_version_that_one_names(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
    async with following(pool) as packs:
        assert (await lanjie(dsn, "rollback", "--author", "李四", "--to", 1)).stdout == "version 1 is live again\n"
        await until(lambda: packs.now is not None and packs.now.live.label() == "reference@1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rollback", "--author", "李四", "--to", "9"), "there is no version 9; see `lanjie rules list`"),
        (("rollback", "--author", "李四"), "nothing to go back to"),
        (("show", "9", "--out", "files"), "there is no version 9; see `lanjie rules list`"),
        (("backtest", "--pack", "9", "--since", "1d"), "there is no version 9; see `lanjie rules list`"),
        (("show", "99999999999", "--out", "files"), "out of int32 range"),
    ],
)
async def test_a_version_that_is_not_there_is_a_sentence_and_changes_nothing(
    dsn: str, pool: Pool, words: tuple[str, ...], said: str
) -> None:
    before = await everything(pool)
    done = await lanjie(dsn, *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert await everything(pool) == before


async def test_version_0_does_not_stand_for_another(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    assert (await lanjie(dsn, "rollback", "--author", "李四", "--to", 0)).exit_code == 2
    assert (await lanjie(dsn, "diff", folder, "--against", 0)).exit_code == 2
    assert await pack_store.in_force(pool) == {"live": 2}


async def test_a_version_that_this_program_cannot_use_any_more_is_not_gone_back_to(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    await pool.execute("""update pack_version set files = '{"pack.yaml": "name: old"}' where version = 1""")
    done = await lanjie(dsn, "rollback", "--author", "李四")
    assert done.exit_code == 1
    assert "pack.yaml:1:1: prior: Field required" in done.stdout
    assert await pack_store.in_force(pool) == {"live": 2}


async def test_a_pack_is_tried_in_the_shadow_and_its_end_leaves_the_live_one(
    dsn: str, other_pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    async with following(other_pool) as packs:
        assert (await published(dsn, folder, "--shadow")).startswith("version 2 is tried in the shadow: test ")
        await until(lambda: packs.now is not None and packs.now.shadow is not None)
        assert packs.now
        assert packs.now.shadow
        assert (packs.now.live.label(), packs.now.shadow.label()) == ("reference@1", "test@2")
        done = await lanjie(dsn, "rollback", "--shadow", "--author", "李四")
        assert done.stdout == "the shadow has ended\n"
        await until(lambda: packs.now is not None and packs.now.shadow is None)
        assert packs.now.live.label() == "reference@1"


async def test_a_rollback_does_not_go_to_what_was_only_tried_in_the_shadow(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path), "--shadow")
    assert "nothing to go back to" in (await lanjie(dsn, "rollback", "--author", "李四")).stderr
    assert await pack_store.in_force(pool) == {"live": 1, "shadow": 2}


async def test_two_who_publish_equal_files_at_once_make_one_version(pool: Pool, other_pool: Pool) -> None:
    async def publish(own: Pool) -> int:
        async with own.acquire() as connection, connection.transaction():
            version = await pack_store.store_pack(connection, "test", PACK, "张三", "")
            await pack_store.release(connection, "live", version, "张三", "")
            return version

    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("lock table pack_version in share row exclusive mode")
        both = asyncio.gather(publish(pool), publish(other_pool))
        await until_waiting(pool, 2)
        await transaction.rollback()
    assert set(await both) == {2}
    assert await releases(pool) == [("live", 2, "张三")] * 2


async def test_the_list_shows_what_was_released_by_whom_and_what_is_in_force(dsn: str, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path), "--note", "[red]刷单新话术[/]")
    await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"), "--shadow")
    await lanjie(dsn, "rollback", "--shadow", "--author", "李四", "--note", "不准")
    rows = cells((await lanjie(dsn, "list")).stdout)
    assert [(role, version, pack, by, note) for _, role, version, pack, _, by, note in rows] == [
        ("shadow", "none", "", "李四", "不准"),
        ("shadow", "3", "test", "张三", ""),
        ("live", "in force 2", "test", "张三", "[red]刷单新话术[/]"),
        ("live", "1", "reference", "test", "to begin with"),
    ]
    assert len(cells((await lanjie(dsn, "list", "--limit", 1)).stdout)) == 1


async def test_the_files_of_a_version_are_shown_as_they_were_published(dsn: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    done = await lanjie(dsn, "show", 2, "--out", tmp_path / "new" / "folder")
    assert done.stdout == f"2 files of test@2 are in {tmp_path}/new/folder\n"
    assert {one.name: one.read_text() for one in (tmp_path / "new" / "folder").iterdir()} == PACK
    assert "version 2 " in await published(dsn, tmp_path / "new" / "folder")


async def test_a_difference_is_shown_to_the_live_pack_or_to_another_version(dsn: str, tmp_path: Path) -> None:
    folder, heavier = folder_of(tmp_path), folder_of(tmp_path, PACK, HEAVIER, name="heavier")
    await published(dsn, folder)
    await published(dsn, heavier)
    assert (await lanjie(dsn, "diff", heavier)).stdout == "no difference\n"
    assert (await lanjie(dsn, "diff", folder, "--against", 2)).stdout == "no difference\n"
    [[sign, kind, name, was, now]] = cells((await lanjie(dsn, "diff", folder)).stdout)
    assert (sign, kind, name) == ("~", "rule", "task")
    assert was.replace("weight: 13", "weight: 12") == now != was


async def test_a_difference_is_shown_whole_on_a_narrow_terminal(dsn: str, tmp_path: Path) -> None:
    shown = (await lanjie(dsn, "diff", folder_of(tmp_path), COLUMNS="80")).stdout
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


async def test_where_nothing_is_live_all_of_a_pack_is_new(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await pool.execute("delete from pack_release")
    done = await lanjie(dsn, "diff", folder_of(tmp_path))
    assert (done.exit_code, done.stdout) == (0, "nothing is live yet; all of the pack is new\n")


async def test_a_check_needs_no_database_and_says_what_the_pack_holds(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, PACK, ("id: task, ", "id: task, status: shadow, "))
    done = await lanjie("", "check", folder, DATABASE_URL=None)
    assert done.exit_code == 0
    assert done.stdout.startswith("ok test ")
    assert done.stdout.endswith(": 5 rules, 1 in the shadow, 2 phrases; 16 points make an alert\n")


async def test_the_names_are_those_of_every_pack_and_a_packs_own(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    general = {row[0]: row for row in cells((await lanjie("", "names")).stdout)}
    with_own = {row[0]: row for row in cells((await lanjie("", "names", folder)).stdout)}
    assert general["payee.payers_24h"][:4] == ["payee.payers_24h", "int", "payers", "24 hours"]
    assert with_own.keys() - general.keys() == {
        "says.safe_account",
        "says.task",
        "text.points",
        "text.scam_type",
        "text.note_length",
    }
    assert with_own["says.task"] == ["says.task", "bool", "", "", "做任务"]


async def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    done = await lanjie("", "publish", folder_of(tmp_path), "--author", "张三", DATABASE_URL=None)
    assert done.exit_code == 1
    assert done.stderr == "set the environment variable DATABASE_URL\n"
