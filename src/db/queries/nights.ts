import type { NightState, Trigger } from '../../contracts/wire/names.ts';
import type { Queryable, Sql } from '../client.ts';
import { jsonb } from '../client.ts';

/** States in which a night holds its claim on (session, universe). */
export const OPEN_STATES = ['pending', 'waiting', 'running', 'awaiting_review'] as const;

/** Whether a night or task run in this state has not ended. */
export function isOpenState(state: string): boolean {
  return OPEN_STATES.some((open) => open === state);
}

/** Whether a task run in this state is over without having succeeded, and may be run again by hand. */
export function isRetryableState(state: string): boolean {
  return state === 'failed' || state === 'skipped' || state === 'cancelled';
}

export type NewNight = {
  workflowId: string;
  runId: string;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  trigger: Trigger;
  configHash: string;
  requestedBy: string | null;
  nominalInstant: string | null;
  plan: unknown;
};

export type NightRow = NewNight & {
  state: NightState;
  reason: string | null;
  startedAt: string;
  completedAt: string | null;
  report: unknown;
};

export type NightClaim =
  | { outcome: 'claimed' }
  | { outcome: 'already_running'; owner: { workflowId: string; runId: string; startedAt: string } };

/**
 * Claims (session, universe) for a night: the partial unique index lets one open night through, and
 * the loser learns who owns it. Asking again with the same run is `claimed` again.
 */
export async function claimNight(sql: Sql, night: NewNight): Promise<NightClaim> {
  for (;;) {
    const inserted = await insertNight(sql, night, 'running', null);
    if (inserted) return { outcome: 'claimed' };
    const [owner] = await sql<{ workflowId: string; runId: string; startedAt: string }[]>`
      select workflow_id, run_id, started_at from ops.nights
      where (workflow_id = ${night.workflowId} and run_id = ${night.runId})
         or (session_date = ${night.sessionDate} and universe = ${night.universe}
             and state = any(${[...OPEN_STATES]}))
      order by (run_id = ${night.runId}) desc limit 1`;
    if (owner?.runId === night.runId) return { outcome: 'claimed' };
    if (owner !== undefined) return { outcome: 'already_running', owner };
    // The owner closed its night between the two statements: the claim is free now.
  }
}

/** Stores a night that never ran: no session, or already running elsewhere. */
export async function insertClosedNight(
  sql: Queryable,
  night: NewNight & { state: 'no_session' | 'skipped' | 'failed'; reason: string },
): Promise<void> {
  await insertNight(sql, night, night.state, night.reason);
}

async function insertNight(
  sql: Queryable,
  night: NewNight,
  state: NightState,
  reason: string | null,
): Promise<boolean> {
  const closed = !isOpenState(state);
  const rows = await sql`
    insert into ops.nights (workflow_id, run_id, session_date, universe, universe_version, trigger, state,
      reason, requested_by, config_hash, nominal_instant, plan, completed_at)
    values (${night.workflowId}, ${night.runId}, ${night.sessionDate}, ${night.universe},
      ${night.universeVersion}, ${night.trigger}, ${state}, ${reason}, ${night.requestedBy},
      ${night.configHash}, ${night.nominalInstant}, ${sql.json(jsonb(night.plan))},
      ${closed ? sql`now()` : null})
    on conflict do nothing returning 1`;
  return rows.length > 0;
}

/**
 * Moves an open night to `state`; an ended one stays as it ended. Returns whether it moved. Task runs
 * that are still open when the night ends are closed with it.
 */
export async function setNightState(
  sql: Sql,
  input: { workflowId: string; runId: string; state: NightState; reason: string | null },
): Promise<boolean> {
  const open = isOpenState(input.state);
  return await sql.begin(async (tx) => {
    const moved = await tx`
      update ops.nights set state = ${input.state}, reason = ${input.reason},
        completed_at = ${open ? null : tx`now()`}
      where workflow_id = ${input.workflowId} and run_id = ${input.runId}
        and state = any(${[...OPEN_STATES]})
      returning 1`;
    if (moved.length > 0 && !open) {
      await tx`
        update ops.task_runs set state = 'cancelled', completed_at = now(), current_run_id = null,
          reason = coalesce(reason, ${`the night ended ${input.state}`})
        where night_workflow_id = ${input.workflowId} and night_run_id = ${input.runId}
          and state = any(${[...OPEN_STATES]})`;
      await tx`
        update ops.task_attempts a set state = 'cancelled', completed_at = now()
        from ops.task_runs t
        where t.task_run_id = a.task_run_id and a.state = 'running' and t.state = 'cancelled'
          and t.night_workflow_id = ${input.workflowId} and t.night_run_id = ${input.runId}`;
    }
    return moved.length > 0;
  });
}

export async function findNight(
  sql: Queryable,
  key: { workflowId: string; runId: string },
): Promise<NightRow | null> {
  const [row] = await sql<NightRow[]>`
    select * from ops.nights where workflow_id = ${key.workflowId} and run_id = ${key.runId}`;
  return row ?? null;
}

/** Newest first. Each filter is optional. */
export async function listNights(
  sql: Queryable,
  filter: { sessionDate?: string; universe?: string; open?: boolean; limit?: number } = {},
): Promise<NightRow[]> {
  return await sql<NightRow[]>`
    select * from ops.nights
    where ${filter.sessionDate === undefined ? sql`true` : sql`session_date = ${filter.sessionDate}`}
      and ${filter.universe === undefined ? sql`true` : sql`universe = ${filter.universe}`}
      and ${filter.open === true ? sql`state = any(${[...OPEN_STATES]})` : sql`true`}
    order by started_at desc, run_id desc limit ${filter.limit ?? 20}`;
}

/** Part of a statement: the night had tasks to run. It was neither refused, nor without a session, nor a second one. */
export function nightRan(sql: Queryable) {
  return sql`(universe_version <> '' and state <> 'skipped')`;
}

/** The universe of the newest night that ran; null before the first. */
export async function findNewestUniverse(sql: Queryable): Promise<string | null> {
  const [row] = await sql<{ universe: string }[]>`
    select universe from ops.nights where ${nightRan(sql)} order by started_at desc, run_id desc limit 1`;
  return row?.universe ?? null;
}
