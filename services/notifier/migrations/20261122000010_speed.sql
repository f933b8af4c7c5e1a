-- migrate:up

-- Whether another branch reported the same transfer is asked of each report: of the minutes around it, not of all time.
drop index report_alike;

create index report_alike on report (alike, observed_at) where alike is not null;

-- Most lines tell of no event that may come again.
alter table timeline drop constraint timeline_told_by_key;

create unique index timeline_told_by on timeline (told_by) where told_by is not null;

-- The ledger is only added to, so its pages lie in the order of time.
drop index ledger_by_time;

create index ledger_by_time on ledger using brin (booked_at) with (autosummarize = on);

-- Rows that change many times get room on their pages, and are cleaned up after so many changes, however long the table.
alter table fraud_case set (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000
);

alter table deadline set (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000
);

alter table delivery set (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000
);

alter table ledger_total set (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000
);

-- What is past its time is deleted by its end; alerts by when they were posted.
create index alert_by_time on alert using brin (created_at) with (autosummarize = on);

create index deadline_ended on deadline (ended_at) where ended_at is not null;

create index delivery_settled on delivery (settled_at) where settled_at is not null;

-- migrate:down

drop index delivery_settled, deadline_ended, alert_by_time;

alter table ledger_total reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

alter table delivery reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

alter table deadline reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

alter table fraud_case reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

drop index ledger_by_time;

create index ledger_by_time on ledger (booked_at);

drop index timeline_told_by;

alter table timeline add constraint timeline_told_by_key unique (told_by);

drop index report_alike;

create index report_alike on report (alike) where alike is not null;
