import type { AlertKind } from '../../contracts/wire/alerts.ts';
import type { Queryable } from '../client.ts';
import type { AlertRow } from './alert-rows.ts';

/** A message that is to go out now, with its alert as it is now. */
export type DueDelivery = {
  deliveryId: number;
  channel: string;
  kind: AlertKind;
  /** This one included. */
  attempts: number;
  recordedAt: string;
  alert: AlertRow;
};

/** What has to be done: whether a night has ended since, and which channels have messages that are due. */
export async function alertPulse(
  sql: Queryable,
): Promise<{ lastNightEnd: string | null; dueChannels: string[] }> {
  const [row] = await sql<{ lastNightEnd: string | null; dueChannels: string[] }[]>`
    select (select max(completed_at) from ops.nights) as last_night_end,
      array(select distinct channel from ops.alert_deliveries
        where state = 'pending' and next_attempt_at <= now()) as due_channels`;
  return row ?? { lastNightEnd: null, dueChannels: [] };
}

/**
 * Takes the oldest message of a channel that is due, for `leaseMs`: whoever dies with it leaves it to the next one
 * after that. News of an end waits for that of the beginning. Null: nothing is due.
 */
export async function claimDelivery(
  sql: Queryable,
  input: { channel: string; leaseMs: number },
): Promise<DueDelivery | null> {
  const [row] = await sql<(Omit<DueDelivery, 'alert'> & AlertRow)[]>`
    with due as (
      select d.delivery_id from ops.alert_deliveries d
      where d.channel = ${input.channel} and d.state = 'pending' and d.next_attempt_at <= now()
        and (d.kind = 'opened' or not exists (
          select 1 from ops.alert_deliveries o
          where o.alert_id = d.alert_id and o.channel = d.channel and o.kind = 'opened' and o.state = 'pending'))
      order by d.delivery_id limit 1 for update skip locked)
    update ops.alert_deliveries d set attempts = d.attempts + 1,
      next_attempt_at = now() + ${input.leaseMs}::float8 * interval '1 millisecond'
    from due, ops.alerts a
    where d.delivery_id = due.delivery_id and a.alert_id = d.alert_id
    returning d.delivery_id, d.channel, d.kind, d.attempts, d.recorded_at, a.*`;
  if (row === undefined) return null;
  const { deliveryId, channel, kind, attempts, recordedAt, ...alert } = row;
  return { deliveryId, channel, kind, attempts, recordedAt, alert };
}

/** It is out. */
export async function markDelivered(sql: Queryable, deliveryId: number): Promise<void> {
  await sql`
    update ops.alert_deliveries set state = 'sent', sent_at = now(), last_error = null
    where delivery_id = ${deliveryId}`;
}

/** It did not go out: again after `retryMs`. */
export async function postponeDelivery(
  sql: Queryable,
  input: { deliveryId: number; error: string; retryMs: number },
): Promise<void> {
  await sql`
    update ops.alert_deliveries set last_error = ${input.error},
      next_attempt_at = now() + ${input.retryMs}::float8 * interval '1 millisecond'
    where delivery_id = ${input.deliveryId} and state = 'pending'`;
}

/** Nobody tries any more; where the news of a beginning is given up, so is that of its end. */
export async function giveUpDelivery(
  sql: Queryable,
  input: { deliveryId: number; error: string },
): Promise<void> {
  await sql`
    update ops.alert_deliveries d set state = 'given_up', last_error = ${input.error}
    from ops.alert_deliveries o
    where o.delivery_id = ${input.deliveryId} and d.alert_id = o.alert_id and d.channel = o.channel
      and d.state = 'pending' and (d.delivery_id = o.delivery_id or o.kind = 'opened')`;
}

/** Gives up messages to channels that the configuration does not have any more. Returns how many. */
export async function giveUpUnknownChannels(sql: Queryable, known: readonly string[]): Promise<number> {
  const rows = await sql`
    update ops.alert_deliveries set state = 'given_up', last_error = 'the channel is not configured any more'
    where state = 'pending' and not channel = any(${[...known]}::text[]) returning 1`;
  return rows.length;
}
