-- migrate:up

-- A row that awaits an answer may lack the broker's acknowledgement too. Such rows come before repetitions and
-- without a bound; so the two kinds are swept apart, each by an index of its own.
alter table outbox add column unsent boolean not null default false;

create index outbox_unsent on outbox (due_at) where unsent or not awaits_answer;

create index outbox_unanswered on outbox (due_at) where awaits_answer and not unsent;

drop index outbox_due;

-- migrate:down

create index outbox_due on outbox (due_at);

drop index outbox_unsent;

drop index outbox_unanswered;

alter table outbox drop column unsent;
