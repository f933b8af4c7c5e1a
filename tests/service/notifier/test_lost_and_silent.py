"""What must be neither lost nor silent: for wrong settings, for an id that is known, for an acknowledgement."""

import asyncio
from uuid import UUID

from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.outcome import Cause, Delivered, Retry
from services.notifier.alerting.channels.sending import send
from services.notifier.alerting.channels.wires import wires_of
from shared.postgres import Pool
from tests.fakes.mail_server import mail_server
from tests.fakes.receiver import json_said, receiving
from tests.fakes.sms_centre import sms_centre
from tests.parts import Door
from tests.service.notifier.builders import a_verdict, an_account, until
from tests.service.notifier.hooks import TIMEOUT, an_alert, delivering, settings, settled, target
from tests.service.notifier.police import a_case, acknowledge, new_case, ordered
from tests.service.notifier.reach import CUIZHU_OFFICER, LUOHU_APPROVER, reachable, states
from tests.service.notifier.test_approvals import MUCH
from tests.service.notifier.test_channels import messages, sent
from tests.service.notifier.test_contacts import alert_of


async def test_messages_that_go_together_are_not_taken_for_one_that_went_before_alone() -> None:
    first, second = messages(2)
    async with receiving(last=json_said({"accepted": True})) as gateway:
        for what in ((first,), (first, second), (first, second)):
            await sent(Channel.SMS, "13900000002", what, sms_url=gateway.url)
    alone, together, again = (request.json()["id"] for request in gateway.requests)
    assert alone == str(first.id)
    assert together == again
    assert together not in (str(first.id), str(second.id)), "a gateway that knows the id would send nothing"


async def test_a_mail_server_that_takes_nothing_at_all_is_asked_again() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 no service here\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await sent(Channel.MAIL, "duty@sz.example", messages(), smtp_url=url) == Retry("smtp 554", Cause.SETTING)
    server.close()
    await server.wait_closed()


async def test_a_sender_that_the_mail_server_refuses_is_a_setting_and_not_the_end_of_the_mail() -> None:
    async with mail_server(sender="550 who are you") as server:
        outcome = await sent(Channel.MAIL, "duty@sz.example", messages(), smtp_url=server.url)
    assert outcome == Retry("smtp 550", Cause.SETTING)


async def test_what_waits_for_a_missing_setting_is_sent_once_it_is_there(dsn: str, pool: Pool) -> None:
    async with mail_server() as server:
        await target(dsn, Channel.MAIL, "duty@sz.example")
        await an_alert(pool)
        async with delivering(pool):

            async def tried() -> bool:
                return await pool.fetchval("select last_reason from delivery") is not None

            await until(tried)
        assert await pool.fetchval("select last_reason from delivery") == (
            "mail is not configured: set SMTP_URL and MAIL_FROM"
        )
        async with delivering(pool, smtp_url=server.url, mail_from="a@lanjie.example"):
            await settled(pool)
    assert len(server.mails) == 1


async def test_an_approver_is_told_though_the_same_order_takes_the_case_on(notifier: Door) -> None:
    await reachable(notifier.pool, LUOHU_APPROVER)
    case_id = await a_case(notifier, a_verdict(an_account(), amount_fen=MUCH))
    await notifier.pool.execute("delete from delivery")
    assert (await ordered(notifier, case_id))["status"] == "proposed"
    assert await states(notifier.pool, case_id) == [(LUOHU_APPROVER, "pending")]


async def test_an_acknowledgement_silences_only_what_asks_for_one(notifier: Door) -> None:
    await reachable(notifier.pool, CUIZHU_OFFICER, delay=600)
    case_id = await new_case(notifier)
    await alert_of(notifier.pool, UUID(case_id), "expiring", "SZ-LH-CZ")
    await acknowledge(notifier, case_id)
    rows = await notifier.rows("select facts ->> 'kind' as kind, state from delivery order by 1")
    assert [(row["kind"], row["state"]) for row in rows] == [("expiring", "pending"), ("opened", "moot")]


async def test_an_sms_centre_that_only_chats_is_given_up_in_time_and_the_next_message_has_its_turn() -> None:
    async with sms_centre(chatty=True) as centre:
        wires = wires_of(settings(smpp_url=centre.url), TIMEOUT)
        async with asyncio.timeout(10):
            first = await send(wires, Channel.SMPP, "13900000002", None, messages())
            second = await send(wires, Channel.SMPP, "13900000002", None, messages())
        await wires.http.aclose()
    assert (first, second) == (Retry("timeout", Cause.TIMEOUT), Delivered())


async def test_an_officer_who_was_revoked_gets_nothing_that_was_still_on_its_way(dsn: str, pool: Pool) -> None:
    async with receiving(last=json_said({"errcode": 0})) as robot:
        await target(dsn, Channel.WECOM, robot.url, officer=CUIZHU_OFFICER)
        await an_alert(pool)
        await pool.execute("update officer set revoked_at = now() where name = $1", CUIZHU_OFFICER)
        async with delivering(pool):
            await settled(pool)
    assert robot.requests == []
    assert await pool.fetchval("select last_reason from delivery") == "target removed"
