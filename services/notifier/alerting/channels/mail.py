"""Mail by SMTP: plain text and HTML, a Message-ID that is the same at every try."""

import asyncio
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from services.notifier.alerting.channels.message import Message, id_of
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import html, subject, text

PERMANENT: Final = 500
PATIENCE: Final = 3
"""Mail servers greet slowly on purpose: they get so many times what others get."""
PORTS: Final = {"smtp": 25, "smtps": 465}


async def send(wires: Wires, address: str, messages: tuple[Message, ...]) -> Outcome:
    """Send any number of messages as one mail. 5xx for this mail or its recipient is Dead; all else may pass.

    A server that takes nothing from us (at the greeting, at log-in, from this sender) says nothing of the mail.
    """
    mail = letter(wires.settings.mail_from, address, messages)
    try:
        async with asyncio.timeout(wires.timeout * PATIENCE):
            await aiosmtplib.send(mail, timeout=wires.timeout * PATIENCE, **server(wires.settings.smtp_url))
    except TimeoutError:  # aiosmtplib's own are of this kind as well
        return Retry("timeout", Cause.TIMEOUT)
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _judged(error.recipients[0].code)
    except aiosmtplib.SMTPDataError as error:
        return _judged(error.code)
    except aiosmtplib.SMTPResponseException as error:
        return _not_of_the_mail(error)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Retry(type(error).__name__, Cause.CONNECTION)
    return Delivered()


def letter(sender: str, address: str, messages: tuple[Message, ...]) -> EmailMessage:
    """Return the mail. Its id is made of the messages' ids, so that whoever gets it twice can tell."""
    local, _, domain = sender.rpartition("@")
    mail = EmailMessage()
    mail["From"] = Address("拦截", local, domain)
    mail["To"] = address
    mail["Subject"] = subject(messages)
    mail["Message-ID"] = f"<{id_of(messages)}@{domain}>"
    mail["X-Lanjie-Messages"] = " ".join(str(message.id) for message in messages)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(messages))
    mail.add_alternative(html(messages), subtype="html")
    return mail


def server(url: str) -> dict[str, Any]:
    """Read `smtp://user:password@host:port` (plain), the same with `?starttls=1` (must encrypt), or `smtps://…`."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("SMTP_URL is smtp://[user:password@]host[:port][?starttls=1], or smtps://…")
    return {
        "hostname": parts.hostname,
        "port": parts.port or PORTS[parts.scheme],
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": parts.scheme == "smtps",
        "start_tls": parse_qs(parts.query).get("starttls") == ["1"] if parts.scheme == "smtp" else False,
    }


def _not_of_the_mail(error: aiosmtplib.SMTPResponseException) -> Retry:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Retry(f"smtp {error.code} at log-in", Cause.SETTING)
    return Retry(f"smtp {error.code}", Cause.SETTING if error.code >= PERMANENT else Cause.STATUS)


def _judged(code: int) -> Outcome:
    return Dead(f"smtp {code}") if code >= PERMANENT else Retry(f"smtp {code}")
