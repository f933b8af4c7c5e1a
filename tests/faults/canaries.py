"""Personal data that is nobody's, to be looked for afterwards: in what banks send, well and badly, and officers write.

Every piece holds one of `MARKS`, so whatever shows one of those shows personal data.
"""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.parts import DROP, a_report

NAME: Final = "金丝雀"
PAYER: Final = "6222029988776"
PAYEE: Final = "6217998877665"
FURTHER: Final = "6217998877999"
ID_NUMBER: Final = "11010519491231002X"
PHONE: Final = "13912345678"
TELLER: Final = "TELLER-CANARY"
MARKS: Final = (NAME, PAYER, PAYEE, FURTHER, ID_NUMBER, PHONE, TELLER)
QUOTED: Final = ("布谷鸟", "6222031122334")
"""Likewise, for what is sent to topics by somebody who should not."""

WORDS: Final = f"{NAME}甲（账号{PAYEE}000001，电话{PHONE}，身份证{ID_NUMBER}）"
"""What anybody may write anywhere."""


def report_with_canaries(dice: random.Random) -> dict[str, Any]:
    """Return a report at alert level, with canaries wherever people and free texts are."""
    return a_report(
        bank_reference=f"F-{dice.getrandbits(64):x}",
        teller_id=f"{TELLER}-{dice.randrange(100)}",
        payer__name=f"{NAME}甲某",
        payer__account=f"{PAYER}{dice.randrange(10**6):06d}",
        payer__id_number=ID_NUMBER,
        payer__phone=PHONE,
        payee__name=f"{NAME}乙某",
        payee__account=f"{PAYEE}{dice.randrange(10**6):06d}",
        transfer__purpose=f"给{NAME}的货款，电话{PHONE}",
        note=f"客户说公安让她把钱转到安全账户，不要告诉家人。{WORDS}",
    )


def refused_reports(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Yield reports that are refused, each for another field that holds a canary."""
    spoilt: dict[str, object] = {
        "teller_id": WORDS,
        "observed_at": WORDS,
        "branch_code": f"ICBC-{PAYER}",
        "cues": [WORDS],
        "transfer__channel": WORDS,
        "transfer__currency": NAME,
        "transfer__amount_fen": PAYER,
        "transfer__purpose": f"{NAME}\x00",
        "payer": DROP,
        "payer__name": f"{NAME}\u202e",
        "payer__account": f"{PAYER}-{NAME}",
        "payer__id_number": ID_NUMBER[:-1] + "1",
        "payer__phone": f"{PHONE}9999999999",
        "payee__bank_code": WORDS,
        "payee__account_type": NAME,
        "note": [WORDS],
        "payee__nickname": NAME,
    }
    for path, value in spoilt.items():
        body = report_with_canaries(dice)
        place = body
        *parents, last = path.split("__")
        for parent in parents:
            place = place[parent]
        if value is DROP:
            del place[last]
        else:
            place[last] = value
        yield body


def forms_of(text: str) -> list[bytes]:
    """Return a text as it may lie somewhere: UTF-8, UTF-16, or escaped as JSON."""
    return [text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode()]


def shown_in(content: bytes, marks: Iterable[str] = MARKS) -> list[str]:
    """Return the marks that show in a content."""
    return [mark for mark in marks if any(form in content for form in forms_of(mark))]


def files_with(folder: Path, marks: Iterable[str] = MARKS) -> Iterator[str]:
    """Name the files under a folder that show a mark."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            for mark in shown_in(path.read_bytes(), marks):
                yield f"{path.relative_to(folder)} shows {mark}"
