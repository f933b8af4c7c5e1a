-- migrate:up

-- Apart from the column, in a transaction of its own: reading all reports takes a while, and nobody may wait for it.
update bank set last_report_at = n.at from (select bank, max(filed_at) as at from report group by bank) n
where n.bank = bank.code;

-- migrate:down

update bank set last_report_at = null;
