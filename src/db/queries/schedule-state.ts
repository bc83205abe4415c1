import type { Queryable, Sql } from '../client.ts';
import { insertAudit } from './requests.ts';

export type ScheduleStateRow = {
  scheduleId: string;
  paused: boolean;
  note: string | null;
  firstEnabledAt: string | null;
  specHash: string | null;
  updatedAt: string;
};

/**
 * Keeps pause and note of a schedule, so that a new server gets them back. First enabling is remembered. What a person
 * does leaves an audit row, and so does a pause that begins or ends by nobody we know.
 */
export async function saveScheduleState(
  sql: Sql,
  state: {
    scheduleId: string;
    paused: boolean;
    note: string | null;
    specHash: string | null;
    /** Who paused or unpaused it, and why; absent: somebody in the Web UI or with the CLI of Temporal. */
    by?: string;
    why?: string;
    /**
     * Asked while the row is locked: of two who change a schedule one after the other, the row keeps what the
     * second wrote, whoever comes here first. False: the act is only audited.
     */
    isStillSo?: () => Promise<boolean>;
  },
): Promise<void> {
  const { scheduleId, paused, note, by, why = note, isStillSo } = state;
  const action = paused ? PAUSE : UNPAUSE;
  const act = { actor: by ?? 'unknown (Temporal)', action, subject: scheduleId, why };
  await sql.begin(async (tx) => {
    const [before] = await tx<{ paused: boolean }[]>`
      select paused from ops.schedule_state where schedule_id = ${scheduleId} for update`;
    if (isStillSo !== undefined && !(await isStillSo())) {
      await insertAudit(tx, act);
      return;
    }
    const firstEnabled = paused ? null : tx`now()`;
    await tx`
      insert into ops.schedule_state as s (schedule_id, paused, note, spec_hash, first_enabled_at)
      values (${scheduleId}, ${paused}, ${note}, ${state.specHash}, ${firstEnabled})
      on conflict (schedule_id) do update set paused = excluded.paused, note = excluded.note,
        spec_hash = excluded.spec_hash, first_enabled_at = coalesce(s.first_enabled_at, excluded.first_enabled_at),
        updated_at = now()
      where (s.paused, s.note, s.spec_hash) is distinct from (excluded.paused, excluded.note, excluded.spec_hash)`;
    // Whoever is known did it, also where somebody else's row was faster or only the note is new.
    const isNew = before !== undefined && before.paused !== paused;
    if (isNew) await insertAudit(tx, act);
    else if (by !== undefined) await insertAudit(tx, { ...act, details: { changed: false } });
  });
}

/**
 * A schedule that has been removed is not paused any more, whoever paused it; one that was on comes back as it was.
 */
export async function forgetPauseOfRemoved(sql: Queryable, scheduleId: string): Promise<void> {
  await sql`delete from ops.schedule_state where schedule_id = ${scheduleId} and paused`;
}

const PAUSE = 'schedule.pause';
const UNPAUSE = 'schedule.unpause';

/**
 * Since when a schedule has been on without a break: the later of its first enabling and the end of its last pause.
 * Null while it is paused, and before anybody switched it on.
 */
export async function onSince(sql: Queryable, scheduleId: string): Promise<string | null> {
  const [row] = await sql<{ since: string | null }[]>`
    select greatest(s.first_enabled_at, (
      select max(a.at) from ops.audit a where a.action = ${UNPAUSE} and a.subject = s.schedule_id
        and a.details ->> 'changed' is distinct from 'false')) as since
    from ops.schedule_state s
    where s.schedule_id = ${scheduleId} and not s.paused and s.first_enabled_at is not null`;
  return row?.since ?? null;
}

export async function scheduleStates(sql: Queryable): Promise<ScheduleStateRow[]> {
  return await sql<ScheduleStateRow[]>`select * from ops.schedule_state order by schedule_id`;
}
