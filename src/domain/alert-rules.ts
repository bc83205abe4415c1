/**
 * When a person should be told something: pure rules over facts that were read before. Instants are ms since 1970.
 * An alert is what is the case now; that it was told already, or is over, is for its row to know.
 */

export type AlertSeverity = 'critical' | 'warning' | 'info';
export type AlertRule =
  | 'night_failed'
  | 'night_late'
  | 'night_missed'
  | 'run_failed'
  | 'last_attempt'
  | 'review_waiting'
  | 'review_expiring'
  | 'coverage_low'
  | 'drift_alarm'
  | 'retraining_flag'
  | 'schedule_paused'
  | 'queue_unpolled';

export type Alert = {
  rule: AlertRule;
  /** What it is about: one open alert per key. */
  key: string;
  severity: AlertSeverity;
  /** One sentence for a person. */
  summary: string;
  details: Record<string, string | number | null>;
};

type About = { sessionDate: string; universe: string };

/** A night that runs, or whose last end was `failed` or `partial` with no better one since. */
export type NightFact = About & {
  workflowId: string;
  runId: string;
  state: string;
  reason: string | null;
  /** When its schedule wanted it, or when it was started: by hand, or by a schedule long after. */
  nominalMs: number;
  /** Null while it runs. */
  completedMs: number | null;
};
/** A session that the schedule should have run and nobody has. */
export type MissedFact = About & { nominalMs: number; command: string };
/** The newest run of a task that has ended, or that is in the last attempt it may have. */
export type AttemptFact = About & {
  taskRunId: string;
  task: string;
  state: string;
  attempts: number;
  maxAttempts: number;
  reason: string | null;
  /** Null while it runs. */
  completedMs: number | null;
};
/** The last failure of a task that no night tells: of a run by hand, of maintenance, or of a review nobody decided. */
export type FailedRunFact = About & {
  taskRunId: string;
  task: string;
  reason: string | null;
  completedMs: number;
};
export type ReviewFact = About & {
  taskRunId: string;
  task: string;
  /** How many it has had: a task that fails again after a decision waits in another review. */
  attempts: number;
  reason: string | null;
  deadlineMs: number | null;
};
/** The newest ingestion of a universe: share of members with a bar of the session, 0 to 1. */
export type CoverageFact = About & { taskRunId: string; ratio: number; members: number; completedMs: number };
/** The newest drift monitoring of a universe. */
export type DriftFact = About & {
  taskRunId: string;
  alarms: number;
  retrainingFlag: boolean;
  /** The first of its reasons, in words. */
  reason: string | null;
  completedMs: number;
};
export type PauseFact = { scheduleId: string; pausedSinceMs: number; note: string | null };
/** A task queue; `silentSinceMs` null: a worker asks for work. */
export type QueueFact = { queue: string; silentSinceMs: number | null };

export type AlertFacts = {
  nowMs: number;
  /** When alerts were first on: what ended before raises nothing. */
  enabledSinceMs: number;
  nights: readonly NightFact[];
  /** Null: could not be found out now, as with `queues`. */
  missed: readonly MissedFact[] | null;
  attempts: readonly AttemptFact[];
  failedRuns: readonly FailedRunFact[];
  reviews: readonly ReviewFact[];
  coverage: readonly CoverageFact[];
  drift: readonly DriftFact[];
  pauses: readonly PauseFact[];
  queues: readonly QueueFact[] | null;
};

export type AlertThresholds = {
  /** A night that runs this long after its nominal start is late. */
  nightLateMs: number;
  /** A session that nobody runs this long after its nominal start is missed: the watchdog had its chance. */
  nightMissedMs: number;
  /** A review that ends within this time is about to expire. */
  reviewSoonMs: number;
  /** Share of members with a bar, 0 to 1, under which coverage is low. */
  coverageRatio: number;
  schedulePausedMs: number;
  queueSilentMs: number;
};

export type Judgement = {
  alerts: Alert[];
  /** Rules nothing can be said of now: their open alerts stay as they are. */
  unknown: AlertRule[];
};

/** Applies every rule. No two alerts have the same key. */
export function judgeAlerts(facts: AlertFacts, thresholds: AlertThresholds): Judgement {
  const alerts = [
    ...facts.nights.flatMap((night) => nightAlerts(night, facts, thresholds)),
    ...(facts.missed ?? []).flatMap((night) => missedAlerts(night, facts, thresholds)),
    ...facts.attempts.flatMap((run) => attemptAlerts(run, facts)),
    ...facts.failedRuns.flatMap((run) => failedRunAlerts(run, facts)),
    ...facts.reviews.flatMap((review) => reviewAlerts(review, facts, thresholds)),
    ...facts.coverage.flatMap((fact) => coverageAlerts(fact, facts, thresholds)),
    ...facts.drift.flatMap((fact) => driftAlerts(fact, facts)),
    ...facts.pauses.flatMap((pause) => pauseAlerts(pause, facts, thresholds)),
    ...(facts.queues ?? []).flatMap((queue) => queueAlerts(queue, facts, thresholds)),
  ];
  const unknown: AlertRule[] = [
    ...(facts.missed === null ? (['night_missed'] as const) : []),
    ...(facts.queues === null ? (['queue_unpolled'] as const) : []),
  ];
  return { alerts: [...new Map(alerts.map((alert) => [alert.key, alert])).values()], unknown };
}

function nightAlerts(night: NightFact, facts: AlertFacts, { nightLateMs }: AlertThresholds): Alert[] {
  const { sessionDate, universe, workflowId, runId, state, reason } = night;
  const about = `the night of ${sessionDate} (${universe})`;
  const details = { sessionDate, universe, workflowId, runId, state, reason };
  if (night.completedMs === null) {
    const dueMs = night.nominalMs + nightLateMs;
    if (facts.nowMs < dueMs || dueMs < facts.enabledSinceMs) return [];
    const since = minutesWords(facts.nowMs - night.nominalMs);
    return [
      {
        rule: 'night_late',
        key: `night_late/${universe}/${sessionDate}`,
        severity: 'critical',
        summary: `${about} is late: ${state.replaceAll('_', ' ')} ${since} after its start`,
        details: { ...details, nominal: iso(night.nominalMs) },
      },
    ];
  }
  if ((state !== 'failed' && state !== 'partial') || night.completedMs < facts.enabledSinceMs) return [];
  const word = state === 'failed' ? 'failed' : 'ended only partly';
  return [
    {
      rule: 'night_failed',
      key: `night_failed/${universe}/${sessionDate}`,
      severity: state === 'failed' ? 'critical' : 'warning',
      summary: `${about} ${word}${reason === null ? '' : `: ${reason}`}`,
      details: { ...details, completed: iso(night.completedMs) },
    },
  ];
}

function missedAlerts(night: MissedFact, facts: AlertFacts, { nightMissedMs }: AlertThresholds): Alert[] {
  const { sessionDate, universe, nominalMs, command } = night;
  if (nominalMs < facts.enabledSinceMs || facts.nowMs - nominalMs < nightMissedMs) return [];
  return [
    {
      rule: 'night_missed',
      key: `night_missed/${universe}/${sessionDate}`,
      severity: 'critical',
      summary: `nothing ran for the session of ${sessionDate} (${universe}); run it with: ${command}`,
      details: { sessionDate, universe, nominal: iso(nominalMs), command },
    },
  ];
}

/** States in which a run says something about its attempts; a cancelled one was a person's wish. */
const TELLING = new Set(['running', 'succeeded', 'failed', 'awaiting_review']);

function attemptAlerts(run: AttemptFact, facts: AlertFacts): Alert[] {
  const { taskRunId, task, sessionDate, universe, state, attempts, maxAttempts, reason } = run;
  if (maxAttempts < 2 || attempts < maxAttempts || !TELLING.has(state)) return [];
  if (run.completedMs !== null && run.completedMs < facts.enabledSinceMs) return [];
  const ended = {
    succeeded: `succeeded only in attempt ${attempts}`,
    running: `runs its last attempt, ${attempts} of ${maxAttempts}`,
  }[state];
  return [
    {
      rule: 'last_attempt',
      key: `last_attempt/${task}/${universe}`,
      severity: 'warning',
      summary: `${task} of ${sessionDate} (${universe}) ${ended ?? `failed in its last attempt, ${attempts} of ${maxAttempts}`}`,
      details: { taskRunId, task, sessionDate, universe, state, attempts, maxAttempts, reason },
    },
  ];
}

function failedRunAlerts(run: FailedRunFact, facts: AlertFacts): Alert[] {
  const { taskRunId, task, sessionDate, universe, reason, completedMs } = run;
  if (completedMs < facts.enabledSinceMs) return [];
  return [
    {
      rule: 'run_failed',
      key: `run_failed/${task}/${universe}`,
      severity: 'warning',
      summary: `${task} of ${sessionDate} (${universe}) failed${reason === null ? '' : `: ${reason}`}`,
      details: { taskRunId, task, sessionDate, universe, reason, completed: iso(completedMs) },
    },
  ];
}

function reviewAlerts(review: ReviewFact, facts: AlertFacts, { reviewSoonMs }: AlertThresholds): Alert[] {
  const { taskRunId, task, attempts, sessionDate, universe, reason, deadlineMs } = review;
  const deadline = deadlineMs === null ? null : iso(deadlineMs);
  const details = { taskRunId, task, sessionDate, universe, attempts, reason, deadline };
  const about = `${task} of ${sessionDate} (${universe})`;
  const until = deadline === null ? '' : ` until ${deadline}`;
  const waiting: Alert = {
    rule: 'review_waiting',
    key: `review_waiting/${taskRunId}/${attempts}`,
    severity: 'warning',
    summary: `${about} failed and waits for a decision${until}: nightshift review ${taskRunId} retry|skip|abort --by NAME --why TEXT`,
    details,
  };
  if (deadlineMs === null || deadlineMs - facts.nowMs > reviewSoonMs) return [waiting];
  const left = minutesWords(Math.max(0, deadlineMs - facts.nowMs));
  const expiring: Alert = {
    rule: 'review_expiring',
    key: `review_expiring/${taskRunId}/${attempts}`,
    severity: 'critical',
    summary: `${about} fails in ${left} unless somebody decides: nightshift review ${taskRunId} retry|skip|abort --by NAME --why TEXT`,
    details,
  };
  return [waiting, expiring];
}

function coverageAlerts(fact: CoverageFact, facts: AlertFacts, { coverageRatio }: AlertThresholds): Alert[] {
  const { taskRunId, sessionDate, universe, ratio, members, completedMs } = fact;
  if (ratio >= coverageRatio || completedMs < facts.enabledSinceMs) return [];
  return [
    {
      rule: 'coverage_low',
      key: `coverage_low/${universe}`,
      severity: 'warning',
      summary: `only ${percent(ratio)} of ${members} symbols (${universe}) have a bar of ${sessionDate}, less than ${percent(coverageRatio)}`,
      details: { taskRunId, sessionDate, universe, ratio, members, threshold: coverageRatio },
    },
  ];
}

function driftAlerts(fact: DriftFact, facts: AlertFacts): Alert[] {
  const { taskRunId, sessionDate, universe, alarms, retrainingFlag, reason, completedMs } = fact;
  if (completedMs < facts.enabledSinceMs) return [];
  const details = { taskRunId, sessionDate, universe, alarms, reason };
  const because = reason === null ? '' : `: ${reason}`;
  const drift: Alert = {
    rule: 'drift_alarm',
    key: `drift_alarm/${universe}`,
    severity: 'warning',
    summary: `${alarms} drift ${alarms === 1 ? 'alarm' : 'alarms'} in the night of ${sessionDate} (${universe})${because}`,
    details,
  };
  const retraining: Alert = {
    rule: 'retraining_flag',
    key: `retraining_flag/${universe}`,
    severity: 'warning',
    summary: `the night of ${sessionDate} (${universe}) raised the retraining flag${because}`,
    details,
  };
  return [...(alarms > 0 ? [drift] : []), ...(retrainingFlag ? [retraining] : [])];
}

function pauseAlerts(
  pause: PauseFact,
  { nowMs }: AlertFacts,
  { schedulePausedMs }: AlertThresholds,
): Alert[] {
  const { scheduleId, pausedSinceMs, note } = pause;
  if (nowMs - pausedSinceMs < schedulePausedMs) return [];
  return [
    {
      rule: 'schedule_paused',
      key: `schedule_paused/${scheduleId}`,
      severity: 'warning',
      summary: `the schedule ${scheduleId} has been paused for ${minutesWords(nowMs - pausedSinceMs)}${note === null ? '' : `: ${note}`}`,
      details: { scheduleId, pausedSince: iso(pausedSinceMs), note },
    },
  ];
}

function queueAlerts(fact: QueueFact, { nowMs }: AlertFacts, { queueSilentMs }: AlertThresholds): Alert[] {
  const { queue, silentSinceMs } = fact;
  if (silentSinceMs === null || nowMs - silentSinceMs < queueSilentMs) return [];
  return [
    {
      rule: 'queue_unpolled',
      key: `queue_unpolled/${queue}`,
      severity: 'critical',
      summary: `no worker asks for work on the task queue ${queue} since ${iso(silentSinceMs)}`,
      details: { queue, silentSince: iso(silentSinceMs) },
    },
  ];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`;
}

/** `45 min`, `7 h 5 min`, `3 d 2 h`. */
function minutesWords(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min`;
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}
