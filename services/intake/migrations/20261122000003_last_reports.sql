-- migrate:up

-- When the bank's newest report was filed, up to a few seconds ago: which bank has gone silent is asked all the time.
alter table bank add last_report_at timestamptz;

-- migrate:down

alter table bank drop last_report_at;
