-- migrate:up

-- A tally counts findings by the time their ids were minted.
create index fraud_case_outcome on fraud_case (outcome_id) where outcome_id is not null;

-- migrate:down

drop index fraud_case_outcome;
