#!/bin/sh
# The namespace of our runs: closed ones are kept 30 days, found by our search attributes.
set -eu

tries=60
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "Temporal does not answer at $TEMPORAL_ADDRESS" >&2; exit 1; }
  sleep 2
done

temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention 30d

# A new namespace takes a moment to reach every part of the server.
tries=30
for name in SessionDate Task Trigger ReviewState Universe RunState; do
  until temporal operator search-attribute list -n "$TEMPORAL_NAMESPACE" 2>/dev/null | grep -qw "$name" ||
    temporal operator search-attribute create -n "$TEMPORAL_NAMESPACE" --name "$name" --type Keyword; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "search attribute $name could not be created" >&2; exit 1; }
    sleep 2
  done
done
