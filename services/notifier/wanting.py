"""Proposed orders: who is asked for approval, and by when. Inside a transaction."""

from datetime import datetime

from services.notifier import alert, alert_store, clock_store, people_store, timeline
from services.notifier.alert_store import Alert
from services.notifier.case import Case
from services.notifier.clock import Deadline, Stage, Urgency
from services.notifier.office import Office
from services.notifier.order import ANY_LEVEL, APPROVERS, Order
from shared.outbox import new_id
from shared.postgres import Connection


async def want_approval(connection: Connection, office: Office, given: Order, about: Case, now: datetime) -> None:
    """Alert those who may approve an order, at the nearest unit up the tree, and start the clock of their answer."""
    span = office.deadlines().span(about.in_charge, Urgency(given.emergency_level), Stage.APPROVE)
    await clock_store.start(connection, [Deadline(about.id, Stage.APPROVE, now + span, given.id)])
    unit, path = await people_store.approving_unit(
        connection, about.in_charge, given.approval_level or ANY_LEVEL, given.ordered_by
    )
    alert_id = new_id()
    why = timeline.approval_wanted(given)
    facts = alert.case_facts(alert_id, about, "approval_wanted", unit, why, order_id=given.id)
    told = Alert(alert_id, about.id, None, unit, path, facts, now, APPROVERS)
    await alert_store.insert_alerts(connection, [told])
