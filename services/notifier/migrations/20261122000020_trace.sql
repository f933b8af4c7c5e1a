-- migrate:up

-- The trace (W3C traceparent) of the report that opened a case: whatever the case leads to goes on with it. Replicas of
-- the release before this one insert without it while they are replaced.
alter table fraud_case add traceparent text not null default '';

-- migrate:down

alter table fraud_case drop traceparent;
