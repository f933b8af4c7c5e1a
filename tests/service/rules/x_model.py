import random
from datetime import timedelta
import pytest
from shared.events import Finding
from shared.outbox import new_id
from tests.service.rules.builders import *
from tests.service.rules.findings import standing

@pytest.mark.parametrize("seed", range(12))
async def test_model(pool, seed):
    rnd = random.Random(seed)
    for trial in range(25):
        payee = f"p{seed}-{trial}"
        reports = [a_filed_report(payee_token=payee) for _ in range(3)]
        await see(pool, *reports)
        cases = [new_id(), new_id()]
        members = {cases[0]: reports[:2], cases[1]: reports[2:]}
        events = []; open_ = {c: None for c in cases}; t = NOW - timedelta(hours=5)
        for _ in range(rnd.randint(2, 7)):
            t += timedelta(minutes=rnd.randint(1, 20))
            c = rnd.choice(cases)
            ids = tuple(r.report_id for r in members[c])
            if open_[c] is None:
                o = an_outcome(payee, rnd.choice(list(Finding)), case_id=c, report_ids=ids, decided_at=t, scam_type=rnd.choice("ab"))
                open_[c] = o
            else:
                o = open_[c].model_copy(update={"outcome_id": new_id(), "decided_at": t, "withdraws": open_[c].outcome_id}); open_[c] = None
            events.append(o)
        arrive = events + [e for e in events if rnd.random() < .3]
        rnd.shuffle(arrive)
        while arrive:
            k = rnd.randint(1, 3); await find(pool, *arrive[:k]); arrive = arrive[k:]
        withdrawn = {e.withdraws for e in events if e.withdraws}
        stand = sorted((e for e in events if not e.withdraws and e.outcome_id not in withdrawn), key=lambda e: (e.decided_at, e.outcome_id))
        last = stand[-1] if stand else None
        got = await standing(pool, payee)
        for c in cases:
            k = [e for e in stand if e.case_id == c and e.finding is Finding.CONFIRMED]
            force = bool(k) and not any(e.finding is Finding.UNFOUNDED and (e.decided_at, e.outcome_id) > (k[-1].decided_at, k[-1].outcome_id) for e in stand)
            rows = await pool.fetch("select * from list_entry where case_id=$1 and source='outcome' and ended_at is null", c)
            assert bool(rows) == force, (seed, trial, events)
            if force:
                assert rows[0]["scam_type"] == k[-1].scam_type and rows[0]["expires_at"] == k[-1].decided_at + YEAR
            for r in members[c]:
                mine = [e for e in stand if e.case_id == c]
                want = mine[-1].finding if mine else None
                row = await pool.fetchrow("select finding, found_at from aftermath where report_id=$1", r.report_id)
                assert (row["finding"] if row else None) == want, (seed, trial)
                assert await pool.fetchval("select finding from sighting where report_id=$1", r.report_id) == want
        assert got[0] == bool(last and last.finding is Finding.CONFIRMED), (got, last)
        assert got[1] == bool(last and last.finding is Finding.UNFOUNDED)
