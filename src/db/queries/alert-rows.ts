import { ALERT_SEVERITIES, type AlertKind } from '../../contracts/wire/alerts.ts';
import type { Alert, AlertRule, AlertSeverity } from '../../domain/alert-rules.ts';
import type { Queryable, Sql, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import type { PageEnd, Paged } from './run-pages.ts';

/** Rule of the row that says since when alerts are on. */
export const ALERTS_ENABLED = 'enabled';

export type AlertRow = {
  alertId: number;
  rule: AlertRule;
  key: string;
  severity: AlertSeverity;
  summary: string;
  details: Record<string, unknown>;
  openedAt: string;
  lastSeenAt: string;
  resolvedAt: string | null;
};

/** When alerts were first on (ms since 1970); the first call is that moment, and leaves a closed row that says so. */
export async function alertsEnabledSince(sql: Queryable): Promise<number> {
  const [row] = await sql<{ sinceMs: number }[]>`
    with known as (select opened_at from ops.alerts where rule = ${ALERTS_ENABLED} order by alert_id limit 1),
    begun as (
      insert into ops.alerts (rule, key, severity, summary, resolved_at)
      select ${ALERTS_ENABLED}, ${ALERTS_ENABLED}, 'info', 'alerts are on from here; what ended before raises none', now()
      where not exists (select 1 from known)
      returning opened_at)
    select (extract(epoch from opened_at) * 1000)::float8 as since_ms
    from (select * from known union all select * from begun) as either`;
  if (row === undefined) throw new Error('no row says since when alerts are on');
  return row.sinceMs;
}

export type AlertChange = {
  opened: AlertRow[];
  resolved: AlertRow[];
};

/**
 * Makes the open rows follow what is the case: new ones are opened with a message to each channel that wants them,
 * known ones are seen again with what is the case now, one that is graver than its row gets a new one, the rest is resolved, with a message
 * where the first one went unless the graver one goes there. Open alerts of `unknown` rules stay as they are.
 */
export async function storeAlerts(
  sql: Sql,
  input: {
    alerts: readonly Alert[];
    unknown: readonly AlertRule[];
    channelsOf: (alert: Pick<Alert, 'rule' | 'severity'>) => readonly string[];
  },
): Promise<AlertChange> {
  const { alerts, unknown, channelsOf } = input;
  return await sql.begin(async (tx) => {
    const keys = alerts.map(({ key }) => key);
    const gravestFirst = [...ALERT_SEVERITIES];
    const outgrown = await tx<AlertRow[]>`
      update ops.alerts o set resolved_at = now()
      from jsonb_to_recordset(${tx.json(jsonb(alerts))}::jsonb) as a(key text, severity text)
      where o.key = a.key and o.resolved_at is null
        and array_position(${gravestFirst}::text[], a.severity) < array_position(${gravestFirst}::text[], o.severity)
      returning o.*`;
    await tx`
      update ops.alerts o set last_seen_at = now(), summary = a.summary, details = a.details
      from jsonb_to_recordset(${tx.json(jsonb(alerts))}::jsonb) as a(key text, summary text, details jsonb)
      where o.key = a.key and o.resolved_at is null`;
    const opened = await tx<AlertRow[]>`
      insert into ops.alerts (rule, key, severity, summary, details)
      select a.rule, a.key, a.severity, a.summary, a.details
      from jsonb_to_recordset(${tx.json(jsonb(alerts))}::jsonb)
        as a(rule text, key text, severity text, summary text, details jsonb)
      on conflict (key) where resolved_at is null do nothing
      returning *`;
    const over = await tx<AlertRow[]>`
      update ops.alerts set resolved_at = now()
      where resolved_at is null and not key = any(${keys}::text[]) and not rule = any(${[...unknown]}::text[])
      returning *`;
    const resolved = [...outgrown, ...over];
    for (const alert of opened) await insertOpened(tx, alert.alertId, channelsOf(alert));
    await tx`
      insert into ops.alert_deliveries (alert_id, channel, kind)
      select d.alert_id, d.channel, 'resolved' from ops.alert_deliveries d join ops.alerts a using (alert_id)
      where alert_id = any(${resolved.map(({ alertId }) => alertId)}::bigint[])
        and d.kind = 'opened' and d.state <> 'given_up'
        and not exists (
          select 1 from ops.alerts graver join ops.alert_deliveries told using (alert_id)
          where graver.key = a.key and graver.resolved_at is null and told.channel = d.channel)
      on conflict do nothing`;
    return { opened, resolved };
  });
}

async function insertOpened(tx: Tx, alertId: number, channels: readonly string[]): Promise<void> {
  if (channels.length === 0) return;
  await tx`
    insert into ops.alert_deliveries (alert_id, channel, kind)
    select ${alertId}::bigint, channel, 'opened' from unnest(${[...channels]}::text[]) as channel
    on conflict do nothing`;
}

/** When the open alerts of a rule were opened, by key (ms since 1970). */
export async function openAlertTimes(sql: Queryable, rule: AlertRule): Promise<Map<string, number>> {
  const rows = await sql<{ key: string; openedMs: number }[]>`
    select key, (extract(epoch from opened_at) * 1000)::float8 as opened_ms
    from ops.alerts where resolved_at is null and rule = ${rule}`;
  return new Map(rows.map(({ key, openedMs }) => [key, openedMs]));
}

export type AlertDelivery = {
  channel: string;
  kind: AlertKind;
  state: 'pending' | 'sent' | 'given_up';
  attempts: number;
  nextAttemptAt: string;
  lastError: string | null;
  sentAt: string | null;
};

/** Alerts with their messages, newest first, after the end of the page before; at most `limit`. */
export async function readAlertPage(
  sql: Queryable,
  input: {
    state: 'open' | 'resolved' | 'all';
    rule?: AlertRule | undefined;
    after: PageEnd | null;
    limit: number;
  },
): Promise<Paged<AlertRow & { deliveries: AlertDelivery[] }>[]> {
  const { state, rule, after, limit } = input;
  return await sql<Paged<AlertRow & { deliveries: AlertDelivery[] }>[]>`
    select a.*, to_char(a.opened_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as page_at,
      coalesce((
        select jsonb_agg(jsonb_build_object('channel', d.channel, 'kind', d.kind, 'state', d.state,
          'attempts', d.attempts, 'nextAttemptAt', d.next_attempt_at, 'lastError', d.last_error, 'sentAt', d.sent_at)
          order by d.delivery_id)
        from ops.alert_deliveries d where d.alert_id = a.alert_id), '[]') as deliveries
    from ops.alerts a
    where ${state === 'all' ? sql`true` : state === 'open' ? sql`resolved_at is null` : sql`resolved_at is not null`}
      and ${rule === undefined ? sql`true` : sql`rule = ${rule}`}
      and ${after === null ? sql`true` : sql`(opened_at, alert_id) < (${after.at}::timestamptz, ${after.id}::bigint)`}
    order by opened_at desc, alert_id desc limit ${limit}`;
}
