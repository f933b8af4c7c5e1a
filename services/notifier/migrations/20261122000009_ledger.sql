-- migrate:up

-- Two reports of one transfer are of the same payer, payee and amount, seen within minutes: its money counts once.
-- Reports from before this column are each of a transfer of their own.
alter table report add alike text, add observed_at timestamptz;

create index report_alike on report (alike) where alike is not null;

-- What another case was holding on the same account when the bank answered; it is counted there.
alter table bank_order add held_elsewhere_fen bigint not null default 0 check (held_elsewhere_fen >= 0);

update bank_order o
set held_elsewhere_fen = e.fen
from (
    select o.id, max(least(e.stopped_fen, e.amount_fen, e.balance_before_fen)) as fen
    from bank_order o
    join bank_order e on e.payee_token = o.payee_token and e.case_id <> o.case_id and e.id < o.id
    where o.kind = 'stop' and o.status = 'executed' and e.kind = 'stop' and e.status = 'executed'
      and e.expires_at > o.executed_at and (e.ended_at is null or e.ended_at > o.executed_at)
    group by o.id
) e
where o.id = e.id and e.fen is not null;

-- The monthly statement reads a period of the ledger.
create index ledger_by_time on ledger (booked_at);

-- migrate:down

drop index ledger_by_time, report_alike;

alter table bank_order drop held_elsewhere_fen;

alter table report drop observed_at, drop alike;
