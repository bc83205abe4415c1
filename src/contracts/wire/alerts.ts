import type { AlertRule, AlertSeverity } from '../../domain/alert-rules.ts';

/** Names of alert rules, as configurations and rows have them. */
export const ALERT_RULES = [
  'night_failed',
  'night_late',
  'night_missed',
  'run_failed',
  'last_attempt',
  'review_waiting',
  'review_expiring',
  'coverage_low',
  'drift_alarm',
  'retraining_flag',
  'schedule_paused',
  'queue_unpolled',
] as const satisfies readonly AlertRule[];

/** The gravest first. */
export const ALERT_SEVERITIES = ['critical', 'warning', 'info'] as const satisfies readonly AlertSeverity[];

export const ALERT_KINDS = ['opened', 'resolved'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];
