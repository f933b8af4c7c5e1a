"""A seal's key is changed while reports come in: what was sealed before, between and after is opened."""

import base64
from collections.abc import Awaitable, Callable
from typing import Final

from shared.privacy import Seal
from shared.settings import read_keys
from tests.parts import KEY_BYTES, intake_door
from tests.service.intake.counter import event_of, filed

OLD: Final = KEY_BYTES
NEW: Final = base64.b64encode(bytes(range(32, 64))).decode()
STEPS: Final = (f"k1:{OLD}", f"k1:{OLD},k2:{NEW}", f"k2:{NEW},k1:{OLD}")
"""How it is at first, with the new key at the end, and with the new key in front."""


async def test_every_step_of_a_rotation_opens_what_any_step_seals(database: Callable[[str], Awaitable[str]]) -> None:
    sealed = []
    dsn = await database("intake")
    for keys in STEPS:
        async with intake_door(dsn, identity_keys=keys, narrative_keys=keys) as door:
            sealed.append(await event_of(door, await filed(door)))
    assert [report.identity[:3] for report in sealed] == ["k1.", "k1.", "k2."]
    assert [report.narrative[:3] for report in sealed] == ["k1.", "k1.", "k2."]
    for keys in STEPS[1:]:
        seal = Seal(read_keys(keys))
        for report in sealed:
            assert "蒙世坤" in seal.open(report.identity, str(report.report_id))
            assert "安全账户" in seal.open(report.narrative, str(report.report_id))
