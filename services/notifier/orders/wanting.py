"""Proposed orders: who is asked for approval, and by when. Inside a transaction."""

from datetime import datetime

from services.notifier import people_store
from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import timeline
from services.notifier.cases.case import Case
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Stage, Urgency
from services.notifier.office import Office
from services.notifier.orders.legality import APPROVERS
from services.notifier.orders.order import ANY_LEVEL, Order
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
