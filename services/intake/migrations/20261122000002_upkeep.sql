-- migrate:up

-- What a report said may be forgotten in time. That it was filed, under which key and reference, never is: a replay
-- after years must find it.
alter table report alter column event drop not null;

create index report_with_details on report (id) where event is not null;

-- Long tables are vacuumed after so many rows, not after a fifth of the table: tallies read the primary key alone,
-- which they can only where vacuum has been.
alter table report set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000
);

alter table verdict set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000
);

alter table case_report set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000
);

-- A case changes a few times: its row gets room on its page.
alter table case_view set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

alter table bank_order set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- migrate:down

alter table bank_order reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

alter table case_view reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

alter table case_report reset (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold
);

alter table verdict reset (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold
);

alter table report reset (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold
);

drop index report_with_details;

update report set event = '' where event is null;

alter table report alter column event set not null;
