import { titleOf } from './message.ts';
import type { AlertLog, Channel } from './port.ts';

const LEVELS: Record<string, Parameters<AlertLog>[0]> = { critical: 'CRITICAL', warning: 'WARNING' };

/** Alerts among the other lines of the log. */
export function createLogChannel(name: string, log: AlertLog): Channel {
  return {
    name,
    send: (message) => {
      const { kind, alert } = message;
      const level = kind === 'opened' ? (LEVELS[alert.severity] ?? 'INFO') : 'INFO';
      log(level, titleOf(message), {
        alertId: alert.alertId,
        rule: alert.rule,
        kind,
        key: alert.key,
        ...idsOf(alert.details),
      });
      return Promise.resolve();
    },
  };
}

const IDS = ['runId', 'sessionDate', 'taskRunId'];

/** Ids by which the lines of a run are found. */
function idsOf(details: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(details).filter(([name]) => IDS.includes(name)));
}
