#!/bin/sh
# Temporal's schemas, by its own tool: set up once per database, brought up to date at every start.
# `setup-schema` on a database that has one would set its version back to 0.0, hence the mark in $STATE.
set -eu
STATE=${STATE:-/state}
SQL_PORT=${SQL_PORT:-5432}

apply() {
  database=$1
  schema=$2
  tool() {
    temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" --port "$SQL_PORT" --user "$SQL_USER" \
      --password "$SQL_PASSWORD" --db "$database" "$@"
  }
  if [ ! -f "$STATE/$database" ]; then
    tool setup-schema -v 0.0
    touch "$STATE/$database"
  fi
  tool update-schema --schema-name "$schema"
}

apply temporal postgresql/v12/temporal
apply temporal_visibility postgresql/v12/visibility
