-- migrate:up

-- What the police put on the list of an account, ended or not: looked at whenever they say something new about it.
create index list_entry_of_police on list_entry (token) where source = 'outcome';

-- migrate:down

drop index list_entry_of_police;
