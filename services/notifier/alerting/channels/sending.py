"""From a target's channel to the module that knows it."""

from typing import assert_never

from services.notifier.alerting.channels import dingtalk, feishu, mail, smpp, sms, webhook, wecom
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.message import Message
from services.notifier.alerting.channels.outcome import Cause, Outcome, Retry
from services.notifier.alerting.channels.wires import ChannelSettings, Wires


async def send(  # noqa: PLR0911 - one for each channel
    wires: Wires, channel: Channel, address: str, secret: str | None, messages: tuple[Message, ...]
) -> Outcome:
    """Send messages to an address as one, except that a webhook takes exactly one.

    Where settings are missing the messages wait: somebody can set them.
    """
    if missing := wires.settings.missing(channel):
        return Retry(missing, Cause.SETTING)
    match channel:
        case Channel.WEBHOOK:
            [message] = messages
            return await webhook.send(wires, address, secret or "", message)
        case Channel.MAIL:
            return await mail.send(wires, address, messages)
        case Channel.WECOM:
            return await wecom.send(wires, address, messages)
        case Channel.DINGTALK:
            return await dingtalk.send(wires, address, secret, messages)
        case Channel.FEISHU:
            return await feishu.send(wires, address, secret, messages)
        case Channel.SMS:
            return await sms.send(wires, address, messages)
        case Channel.SMPP:
            return await smpp.send(wires, address, messages)
        case _:
            assert_never(channel)


def refuse_wrong(settings: ChannelSettings) -> None:
    """Raise `ValueError` where a setting cannot be read, at the start rather than at the first alert."""
    if settings.smtp_url:
        mail.server(settings.smtp_url)
    if settings.smpp_url:
        smpp.centre_of(settings.smpp_url)
