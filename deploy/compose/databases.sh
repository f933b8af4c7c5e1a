#!/bin/sh
# PostgreSQL's image runs this once, when the data folder is empty: a role and a database for each service, which can
# reach no other.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
for service in intake rules notifier; do
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    -v name="$service" -v password="$(cat "$secrets/${service}_password")" <<'SQL'
create role :"name" login password :'password';
create database :"name" owner :"name";
revoke connect, temporary on database :"name" from public;
SQL
done
