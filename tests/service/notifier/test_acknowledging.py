"""Acknowledgements: who takes a case on, and how long it took."""

from shared.events import CaseChanged
from tests.parts import Door
from tests.service.notifier.police import CUIZHU, LUOHU, a_case, acknowledge, said_of, timeline


async def test_acknowledging_stops_the_clock_and_says_so(notifier: Door) -> None:
    case_id = await a_case(notifier)
    answer = await acknowledge(notifier, case_id)
    assert answer.status_code == 200
    case = answer.json()
    assert (case["status"], case["version"], case["acknowledged_by"]) == ("acknowledged", 2, "陆峥")
    assert case["acknowledged_at"] < case["acknowledge_by"]
    assert timeline(case) == ["opened", "acknowledged"]
    assert await said_of(notifier, case_id) == [CaseChanged.type]
    metrics = (await notifier.client.get("/metrics")).text
    assert 'lanjie_acknowledgements_total{in_time="true",unit="SZ-LH-CZ"} 1.0' in metrics


async def test_acknowledging_twice_is_once_whoever_comes_second(notifier: Door) -> None:
    case_id = await a_case(notifier)
    first = (await acknowledge(notifier, case_id)).json()
    for who in (CUIZHU, LUOHU):
        again = await acknowledge(notifier, case_id, who)
        assert again.status_code == 200
        assert again.json() == first
    assert len(await said_of(notifier, case_id)) == 1
    metrics = (await notifier.client.get("/metrics")).text
    assert 'lanjie_acknowledgements_total{in_time="true",unit="SZ-LH-CZ"} 1.0' in metrics


async def test_a_late_acknowledgement_is_counted_as_late(notifier: Door) -> None:
    case_id = await a_case(notifier)
    await notifier.pool.execute("update fraud_case set acknowledge_by = now() - interval '1 second'")
    assert (await acknowledge(notifier, case_id)).status_code == 200
    metrics = (await notifier.client.get("/metrics")).text
    assert 'lanjie_acknowledgements_total{in_time="false",unit="SZ-LH-CZ"} 1.0' in metrics
