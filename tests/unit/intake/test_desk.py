"""The filing desk and the verdict board, with a database that does as it is told."""

import asyncio
import json
from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

import pytest

from services.intake.desk import MOST_TOGETHER, MOST_WAITING, FilingDesk, VerdictBoard
from services.intake.handlers import Filed, FilingOutcome
from services.intake.report import Privacy, Report, filed, fingerprint
from services.intake.store import Filing
from shared.errors import Refusal
from shared.outbox import new_id
from tests.parts import IDENTITY, NARRATIVE, TOKENS, a_key, a_report


def a_filing(key: str | None = None) -> Filing:
    body = Report.model_validate_json(json.dumps(a_report()))
    event = filed(body, new_id(), "ICBC", Privacy(TOKENS, IDENTITY, NARRATIVE), body.observed_at)
    return Filing(key or a_key(), body.bank_reference, fingerprint(body, TOKENS), event, "")


class Database:
    """Files what it is given once it may, and remembers how much came together."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self.began = asyncio.Event()
        self.may = asyncio.Event()
        self.fails_with: Exception | None = None

    async def file(self, filings: Sequence[Filing]) -> Sequence[FilingOutcome]:
        self.together.append(len(filings))
        self.began.set()
        await self.may.wait()
        if self.fails_with:
            raise self.fails_with
        return [Filed(filing.event.report_id, fresh=True) for filing in filings]


async def test_posts_that_arrive_while_others_are_written_share_the_next_transactions() -> None:
    database = Database()
    desk = FilingDesk(database.file)
    desk.open()
    filings = [a_filing() for _ in range(40)]
    posts = [desk.hand_in(filings[0])]
    await database.began.wait()
    posts += [desk.hand_in(one) for one in filings[1:]]
    await asyncio.sleep(0)
    database.may.set()
    assert await asyncio.gather(*posts) == [Filed(one.event.report_id, fresh=True) for one in filings]
    assert database.together[0] == 1
    assert sum(database.together) == 40
    assert len(database.together) <= 4
    await desk.close()


async def test_no_transaction_grows_without_bound() -> None:
    database = Database()
    database.may.set()
    desk = FilingDesk(database.file)
    filing = a_filing()
    keys = [Filing(a_key(), filing.bank_reference, b"", filing.event, "") for _ in range(MOST_TOGETHER * 2 + 1)]
    posts = [desk.hand_in(one) for one in keys]
    await asyncio.sleep(0)
    desk.open()
    await asyncio.gather(*posts)
    assert max(database.together) == MOST_TOGETHER
    await desk.close()


async def test_a_failed_transaction_fails_each_of_its_posts_and_the_next_one_is_tried() -> None:
    database = Database()
    database.may.set()
    database.fails_with = ConnectionResetError()
    desk = FilingDesk(database.file)
    desk.open()
    filings = [a_filing() for _ in range(3)]
    ended = await asyncio.gather(*(desk.hand_in(one) for one in filings), return_exceptions=True)
    assert [type(end) for end in ended] == [ConnectionResetError] * 3
    database.fails_with = None
    assert await desk.hand_in(filings[0]) == Filed(filings[0].event.report_id, fresh=True)
    await desk.close()


async def test_a_key_in_hand_is_refused_until_its_post_is_through() -> None:
    database = Database()
    desk = FilingDesk(database.file)
    desk.open()
    first = desk.hand_in(a_filing("k"))
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as caught:
        await desk.hand_in(a_filing("k"))
    assert caught.value.status == HTTPStatus.CONFLICT
    database.may.set()
    await first
    await desk.hand_in(a_filing("k"))
    await desk.close()


async def test_a_desk_with_too_many_waiting_says_when_to_come_again() -> None:
    desk = FilingDesk(Database().file)
    filing = a_filing()
    keys = [Filing(str(number), filing.bank_reference, b"", filing.event, "") for number in range(MOST_WAITING)]
    posts = [desk.hand_in(one) for one in keys]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as caught:
        await desk.hand_in(a_filing())
    assert (caught.value.status, caught.value.headers) == (HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
    for post in posts:
        post.cancel()
    await asyncio.gather(*posts, return_exceptions=True)


async def test_a_desk_that_closes_files_what_it_was_handed_first() -> None:
    database = Database()
    desk = FilingDesk(database.file)
    desk.open()
    posts = [desk.hand_in(a_filing()) for _ in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(desk.close())
    await asyncio.sleep(0)
    assert not closing.done()
    database.may.set()
    await closing
    assert len(await asyncio.gather(*posts)) == 5


async def test_a_post_that_is_cancelled_is_filed_all_the_same() -> None:
    database = Database()
    desk = FilingDesk(database.file)
    desk.open()
    post = desk.hand_in(a_filing("k"))
    await database.began.wait()
    post.cancel()
    await asyncio.gather(post, return_exceptions=True)
    with pytest.raises(Refusal):
        await desk.hand_in(a_filing("k"))
    database.may.set()
    await desk.close()
    assert database.together == [1]


async def nothing_judged(_report_ids: Sequence[UUID]) -> set[UUID]:
    return set()


async def test_what_is_consumed_here_wakes_whoever_waits_for_it_and_nobody_else() -> None:
    board = VerdictBoard(nothing_judged)
    one, other = new_id(), new_id()
    waiting = [asyncio.create_task(board.wait(report_id, 5)) for report_id in (one, one, other)]
    await asyncio.sleep(0.01)
    board.show([one, new_id()])
    done, pending = await asyncio.wait(waiting, timeout=0.2)
    assert (done, pending) == ({*waiting[:2]}, {waiting[2]})
    board.show([other])
    await waiting[2]


async def test_one_look_at_the_database_is_for_all_who_wait() -> None:
    looks: list[set[UUID]] = []

    async def judged(report_ids: Sequence[UUID]) -> set[UUID]:
        looks.append(set(report_ids))
        return set(report_ids) if len(report_ids) > 1 else set()

    board = VerdictBoard(judged)
    board.open()
    reports = [new_id() for _ in range(5)]
    await asyncio.wait_for(asyncio.gather(*(board.wait(one, 5) for one in reports)), 2)
    assert looks[-1] == set(reports)
    await board.close()


async def test_a_wait_ends_when_its_time_is_up_even_if_the_database_is_away() -> None:
    async def away(_report_ids: Sequence[UUID]) -> set[UUID]:
        raise ConnectionRefusedError

    board = VerdictBoard(away)
    board.open()
    await asyncio.wait_for(board.wait(new_id(), 0.4), 2)
    await board.close()
