-- migrate:up

-- An outcome may take another one back, whichever comes first: the one it names counts no more.
alter table outcome add withdraws uuid;

create unique index outcome_withdrawn on outcome (withdraws) where withdraws is not null;

-- The outcomes that count: those that say what a case is, and that no other takes back.
create view standing_outcome as
select o.* from outcome o
where o.withdraws is null and not exists (select from outcome w where w.withdraws = o.id);

-- migrate:down

drop view standing_outcome;

drop index outcome_withdrawn;

delete from outcome o using outcome w where w.withdraws = o.id;

delete from outcome where withdraws is not null;

alter table outcome drop withdraws;
