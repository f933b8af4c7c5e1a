-- migrate:up

-- The trace (W3C traceparent) that an order came with: the bank's answer goes on with it. Replicas of the release before
-- this one insert without it while they are replaced.
alter table bank_order add traceparent text not null default '';

-- migrate:down

alter table bank_order drop traceparent;
