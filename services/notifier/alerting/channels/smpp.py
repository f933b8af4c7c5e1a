"""Short messages straight to an SMS centre by SMPP 3.4: one session a message, in a thread, one at a time."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import smpplib.client
import smpplib.consts as c
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

from services.notifier.alerting.channels.limits import TEXT_CHARACTERS
from services.notifier.alerting.channels.message import Message
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import short

PORT: Final = 2775
STEPS: Final = 3
"""Connecting, binding and submitting each wait by themselves; together they may take the call's time."""
LONGEST_STEPS: Final = 8
"""Connecting, binding, five parts and leaving: a message that takes longer is given up."""

THROTTLED: Final = {c.SMPP_ESME_RTHROTTLED: 5.0, c.SMPP_ESME_RMSGQFUL: 30.0}
DEAD: Final = frozenset(
    {c.SMPP_ESME_RINVDSTADR, c.SMPP_ESME_RINVDSTTON, c.SMPP_ESME_RINVDSTNPI, c.SMPP_ESME_RINVMSGLEN}
)
SETTINGS: Final = frozenset({c.SMPP_ESME_RINVPASWD, c.SMPP_ESME_RINVSYSID, c.SMPP_ESME_RINVSYSTYP})

logging.getLogger("smpplib").setLevel(logging.ERROR)  # below that it writes down messages and numbers


@dataclass(frozen=True, slots=True)
class Centre:
    """Where the SMS centre is, and as whom to bind."""

    host: str
    port: int
    system_id: str
    password: str
    sender: str


async def send(wires: Wires, number: str, messages: tuple[Message, ...]) -> Outcome:
    """Send any number of messages as one, in as many parts as it takes. Centres often allow one session: ours waits."""
    text = short(messages, TEXT_CHARACTERS)
    try:
        async with asyncio.timeout(wires.timeout):
            await wires.smpp_turn.acquire()
    except TimeoutError:
        return Retry("the sms centre is busy with our own", Cause.TIMEOUT)
    try:
        centre = centre_of(wires.settings.smpp_url)
        return await asyncio.to_thread(submit, centre, number, text, wires.timeout / STEPS)
    finally:
        wires.smpp_turn.release()


def centre_of(url: str) -> Centre:
    """Read `smpp://system_id:password@host:port/sender`."""
    parts = urlsplit(url)
    if parts.scheme != "smpp" or not parts.hostname:
        raise ValueError("SMPP_URL is smpp://system_id:password@host[:port][/sender]")
    return Centre(
        parts.hostname,
        parts.port or PORT,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.path.strip("/"),
    )


def submit(centre: Centre, number: str, text: str, timeout_seconds: float) -> Outcome:
    """Bind, submit every part in UCS-2, unbind. Blocks."""
    client = smpplib.client.Client(
        centre.host, centre.port, timeout_seconds, logger_name="smpplib", allow_unknown_opt_params=True
    )
    until = time.monotonic() + timeout_seconds * LONGEST_STEPS
    try:
        client.connect()
        client.bind_transmitter(system_id=centre.system_id, password=centre.password)
        parts, coding, esm_class = smpplib.gsm.make_parts(text, encoding=c.SMPP_ENCODING_ISO10646)
        for part in parts:
            status = _submitted(client, centre, number, (part, coding, esm_class), until)
            if status != c.SMPP_ESME_ROK:
                return meaning(status)
    except smpplib.exceptions.PDUError as error:  # binding was refused
        return meaning(error.args[1]) if len(error.args) > 1 else Retry("smpp broken answer", Cause.ANSWER)
    except TimeoutError:
        return Retry("timeout", Cause.TIMEOUT)
    except (smpplib.exceptions.ConnectionError, smpplib.exceptions.UnknownCommandError, OSError) as error:
        return Retry(type(error).__name__, Cause.CONNECTION)
    finally:
        _leave(client)
    return Delivered()


def meaning(status: int) -> Outcome:
    """Turn an SMPP command status into what to do."""
    reason = f"smpp status {status:#04x}"
    if status in THROTTLED:
        return Retry(reason, Cause.PACE, THROTTLED[status])
    if status in DEAD:
        return Dead(reason, Cause.ANSWER)
    return Retry(reason, Cause.SETTING if status in SETTINGS else Cause.ANSWER)


def _submitted(client: Any, centre: Centre, number: str, content: tuple[bytes, int, int], until: float) -> int:  # noqa: ANN401 - smpplib has no types
    """Submit one part; return the status of the answer that bears its number.

    Raises `TimeoutError` where it has not come by `until` (monotonic), whatever else the centre says meanwhile.
    """
    part, coding, esm_class = content
    international = number.startswith("+")
    sent = client.send_message(
        source_addr_ton=c.SMPP_TON_UNK,
        source_addr_npi=c.SMPP_NPI_UNK,
        source_addr=centre.sender,
        dest_addr_ton=c.SMPP_TON_INTL if international else c.SMPP_TON_UNK,
        dest_addr_npi=c.SMPP_NPI_ISDN,
        destination_addr=number.removeprefix("+"),
        short_message=part,
        data_coding=coding,
        esm_class=esm_class,
    )
    while time.monotonic() < until:
        answer = client.read_pdu()
        if answer.command == "submit_sm_resp" and answer.sequence == sent.sequence:
            return int(answer.status)
        if answer.command == "enquire_link":
            alive = smpplib.smpp.make_pdu("enquire_link_resp", client=client)
            alive.sequence = answer.sequence
            client.send_pdu(alive)
    raise TimeoutError


def _leave(client: Any) -> None:  # noqa: ANN401 - smpplib has no types
    bound = client.state == c.SMPP_CLIENT_STATE_BOUND_TX
    with suppress(smpplib.exceptions.PDUError, smpplib.exceptions.ConnectionError, OSError):
        if bound:
            client.unbind()
    client.disconnect()
