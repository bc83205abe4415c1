import { createHash } from 'node:crypto';
import type { AlertKind } from '../contracts/wire/alerts.ts';
import type { AlertRow } from '../db/queries/alert-rows.ts';

/** What a channel sends: an alert that began or is over, or a test. */
export type AlertMessage = {
  /** The same for every attempt to send it: receivers drop a second one. */
  id: string;
  kind: AlertKind | 'test';
  alert: {
    alertId: number | null;
    rule: string;
    key: string;
    severity: string;
    summary: string;
    details: Record<string, unknown>;
    openedAt: string;
    resolvedAt: string | null;
  };
};

/** The message of a stored delivery; its id does not depend on when or how often it is sent. */
export function messageOf(delivery: { channel: string; kind: AlertKind; alert: AlertRow }): AlertMessage {
  const { channel, kind, alert } = delivery;
  const { alertId, rule, key, severity, summary, details, openedAt, resolvedAt } = alert;
  // Two instances may number their alerts alike; the instant tells them apart.
  const about = JSON.stringify([channel, kind, alertId, key, openedAt]);
  const id = `alert-${createHash('sha256').update(about).digest('hex').slice(0, 32)}`;
  return { id, kind, alert: { alertId, rule, key, severity, summary, details, openedAt, resolvedAt } };
}

/** A message that says nothing but that it arrives. */
export function testMessage(input: { channel: string; by: string; id: string; at: Date }): AlertMessage {
  const { channel, by, id, at } = input;
  const summary = `this is a test of the channel ${channel}, sent by ${by}; nothing is wrong`;
  const openedAt = at.toISOString();
  return {
    id,
    kind: 'test',
    alert: {
      alertId: null,
      rule: 'test',
      key: 'test',
      severity: 'info',
      summary,
      details: {},
      openedAt,
      resolvedAt: null,
    },
  };
}

/** One line: `[CRITICAL] night_failed: the night of …`. */
export function titleOf({ kind, alert }: AlertMessage): string {
  const word = kind === 'resolved' ? 'RESOLVED' : kind === 'test' ? 'TEST' : alert.severity.toUpperCase();
  return oneLine(`[${word}] ${alert.rule}: ${alert.summary}`);
}

/** Further lines for a person: since when, until when, what is known. */
export function linesOf({ alert }: AlertMessage): string[] {
  const details = Object.entries(alert.details).flatMap(([name, value]) =>
    value === null || value === undefined
      ? []
      : [`${name}: ${oneLine(typeof value === 'string' ? value : JSON.stringify(value))}`],
  );
  return [
    `since: ${alert.openedAt}`,
    ...(alert.resolvedAt === null ? [] : [`over since: ${alert.resolvedAt}`]),
    ...details,
  ];
}

/** What a person reads in a list or a subject, whatever a failure said. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they would break a header or a line of a log
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, 2000);
}
