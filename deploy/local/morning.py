"""A morning at the counters, played through the real doors: tellers report, police act, banks answer."""

import asyncio
import json
import secrets
from datetime import datetime
from typing import Any, Final

import httpx2
import yaml
from rich.console import Console

from deploy.local.config import REFERENCE
from deploy.local.ears import listening
from deploy.local.player import BEIJING, Player, Visit
from deploy.local.screen import print_head, print_ledger, print_totals, print_visit
from services.intake.identity import CHECK_CHARACTERS, passes_luhn, resident_id

STEP_SECONDS: Final = 0.15


async def play(info: dict[str, Any], environment: dict[str, str], console: Console) -> None:
    """Play the morning and print it as it happens; `environment` is notifier's, for what is arranged there."""
    script = yaml.safe_load((REFERENCE / "morning.yaml").read_text(encoding="utf-8"))
    hurry = script["hurry"]
    run = secrets.token_hex(4)
    visits = [_visit(entry, place, run) for place, entry in enumerate(script["visits"])]
    async with httpx2.AsyncClient(timeout=15) as client, listening(info, environment, client, hurry) as ears:
        print_head(console, script["title"])
        player = Player(client, info, ears)
        for visit in visits:
            if (earlier := visit.script.get("repeat_of")) is not None:
                visit.body, visit.key = visits[earlier].body, visits[earlier].key
            await player.perform(visit)
            print_visit(console, visit)
            await asyncio.sleep(STEP_SECONDS)
        console.print(
            f"演示期间 {hurry['unit']} 的签收时限改为 {hurry['seconds']} 秒（平常 {hurry['usual']} 秒），播放完即恢复",
            style="dim",
        )
        await ears.caught_up()
        await print_totals(client, info, ears, console)
    await print_ledger(environment, console)


def _visit(entry: dict[str, Any], place: int, run: str) -> Visit:
    script = json.loads(json.dumps(entry))
    body = script.get("report", {})
    if body:
        body["bank_reference"] = f"{body['branch_code'].split('-')[0]}-{run}-{place:03d}"
        body["observed_at"] = datetime.now(BEIJING).isoformat(timespec="seconds")
        for party in (body["payer"], body["payee"], *script.get("bank", {}).get("onward", [])):
            party["account"] = _account_of_this_run(party["account"], run)
        if number := body["payer"].get("id_number"):
            body["payer"]["id_number"] = _number_of_this_run(number, run)
    return Visit(body, f"{run}-{place:03d}", script)


def _account_of_this_run(account: str, run: str) -> str:
    """Give each run accounts of its own, so that yesterday's morning does not weigh on today's."""
    middle = f"{int(run, 16) % 10**6:06d}"
    stem = account[:4] + middle + account[10:-1]
    return next(stem + digit for digit in "0123456789" if passes_luhn(stem + digit))


def _number_of_this_run(number: str, run: str) -> str:
    """Give each run customers of its own likewise; the place of birth, the birthday and the sex stay."""
    if not _is_number(number):
        return number  # the teller's slip, refused at the door
    stem = number[:14] + f"{(int(number[14:17]) + 2 * int(run, 16)) % 1000:03d}"
    return next(stem + last for last in CHECK_CHARACTERS if _is_number(stem + last))


def _is_number(number: str) -> bool:
    try:
        return bool(resident_id(number))
    except ValueError:
        return False
