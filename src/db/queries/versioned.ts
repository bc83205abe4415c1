import type { Tx } from '../client.ts';
import { jsonb, onlyRow } from '../client.ts';

/** A table whose changed rows keep their predecessors in another one. All names are trusted SQL. */
export type VersionedTable = {
  table: string;
  history: string;
  key: Record<string, string>;
  /** Columns and types whose difference makes a new version. */
  compare: Record<string, string>;
  /** Columns and types that go with a version. */
  carry: Record<string, string>;
  /** Of the event that a change leaves, with the column that is its date. */
  event: { kind: string; date: string };
};

/** When a row counts as known, beside its columns; all dates are sessions. */
export type Knowledge = {
  /** First session whose night may know it, if it is new. */
  available_on: string;
  /** True if nights that should have had it ran without it. */
  late: boolean;
  /** First session whose night may know it, if it replaces another version. */
  changed_on: string;
  /** False: a stored row stands, whatever is given (a replayed night). */
  revise: boolean;
};

export type VersionCounts = { added: number; revised: number };

/**
 * Adds new rows and new versions of those that differ; what they replace goes into the history with the session from
 * which nights know the new one. Changed and late rows leave an event. Equal rows are not touched.
 */
export async function storeVersions(
  tx: Tx,
  input: {
    into: VersionedTable;
    rows: readonly (Record<string, unknown> & Knowledge)[];
    /** The instant at which changes became known. */
    knownAt: string;
    taskRunId: string;
  },
): Promise<VersionCounts> {
  const { into, rows } = input;
  if (rows.length === 0) return { added: 0, revised: 0 };
  const key = Object.keys(into.key);
  const compare = Object.keys(into.compare);
  const content = [...compare, ...Object.keys(into.carry)];
  const typed = { ...into.key, ...into.compare, ...into.carry };
  const list = (names: readonly string[], of: (name: string) => string): string => names.map(of).join(', ');
  const on = (a: string, b: string): string => key.map((name) => `${a}.${name} = ${b}.${name}`).join(' and ');
  const object = (from: string, prefix: string): string =>
    `jsonb_build_object(${list(compare, (name) => `'${name}', ${from}.${prefix}${name}`)})`;
  const details = (before: string, after: string): string =>
    `jsonb_build_object('availableAt', $2::text, 'before', ${before}, 'after', ${after})`;
  const counted = await tx.unsafe<VersionCounts[]>(
    `with given as materialized (
       select * from jsonb_to_recordset($1::text::jsonb) as r(
         ${list(
           Object.entries(typed).map(([name, type]) => `${name} ${type}`),
           String,
         )},
         available_on date, late boolean, changed_on date, revise boolean)),
     stale as (
       select s.*, ${list(content, (name) => `g.${name} as new_${name}`)},
         greatest(g.changed_on, s.available_on) as new_available_on
       from ${into.table} s join given g on ${on('s', 'g')}
       where g.revise and (${list(compare, (name) => `s.${name}`)})
         is distinct from (${list(compare, (name) => `g.${name}`)})
       for update of s),
     kept as (
       insert into ${into.history} (${key.join(', ')}, ${content.join(', ')}, revision, available_on, superseded_on,
         recorded_at)
       select ${key.join(', ')}, ${content.join(', ')}, revision, available_on, new_available_on, recorded_at from stale),
     changed as (
       update ${into.table} s set ${list(content, (name) => `${name} = o.new_${name}`)},
         revision = s.revision + 1, available_on = o.new_available_on, recorded_at = now()
       from stale o where ${on('s', 'o')}
       returning s.symbol, s.${into.event.date} as event_date, ${object('o', '')} as before,
         ${object('o', 'new_')} as after),
     added as (
       insert into ${into.table} (${key.join(', ')}, ${content.join(', ')}, available_on)
       select ${key.join(', ')}, ${content.join(', ')}, available_on from given
       on conflict (${key.join(', ')}) do nothing
       returning ${key.join(', ')}),
     told as (
       insert into ops.events (kind, subject, session_date, details, task_run_id)
       select '${into.event.kind}', symbol, event_date, ${details('before', 'after')}, $3::text from changed
       union all
       select '${into.event.kind}', g.symbol, g.${into.event.date}, ${details(`'null'::jsonb`, object('g', ''))},
         $3::text
       from added a join given g on ${on('a', 'g')} where g.late)
     select (select count(*) from added) as added, (select count(*) from changed) as revised`,
    [JSON.stringify(jsonb(rows)), input.knownAt, input.taskRunId],
  );
  return onlyRow(counted, `versions of ${into.table}`);
}
