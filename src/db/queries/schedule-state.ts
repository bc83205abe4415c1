import type { Queryable } from '../client.ts';

export type ScheduleStateRow = {
  scheduleId: string;
  paused: boolean;
  note: string | null;
  firstEnabledAt: string | null;
  specHash: string | null;
  updatedAt: string;
};

/** Keeps pause and note of a schedule, so that a new server gets them back. First enabling is remembered. */
export async function saveScheduleState(
  sql: Queryable,
  state: { scheduleId: string; paused: boolean; note: string | null; specHash: string | null },
): Promise<void> {
  const firstEnabled = state.paused ? null : sql`now()`;
  await sql`
    insert into ops.schedule_state as s (schedule_id, paused, note, spec_hash, first_enabled_at)
    values (${state.scheduleId}, ${state.paused}, ${state.note}, ${state.specHash}, ${firstEnabled})
    on conflict (schedule_id) do update set paused = excluded.paused, note = excluded.note,
      spec_hash = excluded.spec_hash, first_enabled_at = coalesce(s.first_enabled_at, excluded.first_enabled_at),
      updated_at = now()
    where (s.paused, s.note, s.spec_hash) is distinct from (excluded.paused, excluded.note, excluded.spec_hash)`;
}

export async function scheduleStates(sql: Queryable): Promise<ScheduleStateRow[]> {
  return await sql<ScheduleStateRow[]>`select * from ops.schedule_state order by schedule_id`;
}
