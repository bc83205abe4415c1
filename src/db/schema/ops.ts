import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  date,
  doublePrecision,
  index,
  integer,
  jsonb,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import { hashColumn, instant, ops, recordedAt, symbolColumn } from './types.ts';

/** Frozen configurations: a run reads the one it started with. */
export const configs = ops.table('configs', {
  configHash: hashColumn('config_hash').primaryKey(),
  body: jsonb('body').notNull(),
  recordedAt: recordedAt(),
});

/** The newest row of a name (a universe) is what a run without an explicit configuration uses. */
export const configApplications = ops.table('config_applications', {
  applicationId: bigint('application_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  name: text('name').notNull(),
  configHash: hashColumn('config_hash').notNull(),
  appliedBy: text('applied_by').notNull(),
  recordedAt: recordedAt(),
});

export const nights = ops.table(
  'nights',
  {
    workflowId: text('workflow_id').notNull(),
    runId: text('run_id').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    trigger: text('trigger').notNull(),
    state: text('state').notNull(),
    reason: text('reason'),
    requestedBy: text('requested_by'),
    configHash: hashColumn('config_hash').notNull(),
    nominalInstant: instant('nominal_instant'),
    startedAt: instant('started_at').notNull().defaultNow(),
    completedAt: instant('completed_at'),
    plan: jsonb('plan'),
  },
  (t) => [
    primaryKey({ columns: [t.workflowId, t.runId] }),
    // The claim: one open night per session and universe.
    uniqueIndex('nights_claim')
      .on(t.sessionDate, t.universe)
      .where(sql`${t.state} in ('pending', 'waiting', 'running', 'awaiting_review')`),
    index('nights_session').on(t.sessionDate, t.universe),
    index('nights_newest').on(t.startedAt, t.runId),
    index('nights_run').on(t.runId),
    check(
      'nights_state',
      sql`${t.state} in ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'awaiting_review', 'cancelled', 'disabled', 'partial', 'no_session')`,
    ),
  ],
);

export const taskRuns = ops.table(
  'task_runs',
  {
    taskRunId: text('task_run_id').primaryKey(),
    /** Null for a manual run. */
    nightWorkflowId: text('night_workflow_id'),
    nightRunId: text('night_run_id'),
    task: text('task').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    universeVersion: hashColumn('universe_version').notNull(),
    state: text('state').notNull(),
    reason: text('reason'),
    trigger: text('trigger').notNull(),
    forced: boolean('forced').notNull().default(false),
    requestedBy: text('requested_by'),
    /** The starter that waits for slot, time and review: the night's or the manual run's workflow. */
    starterWorkflowId: text('starter_workflow_id').notNull(),
    starterRunId: text('starter_run_id').notNull(),
    /** Workflow of the current attempt; final writes of any other run are refused. Null: nobody may write. */
    currentWorkflowId: text('current_workflow_id'),
    currentRunId: text('current_run_id'),
    /** Highest fence number seen (turn × 1000 + the execution's own attempt): it only rises. */
    fenceAttempt: integer('fence_attempt').notNull().default(0),
    /** Order of the starter's last transition: an older one that comes late is refused. */
    transitionOrder: bigint('transition_order', { mode: 'number' }).notNull().default(0),
    /** Attempts begun in all. */
    attempts: integer('attempts').notNull().default(0),
    maxAttempts: integer('max_attempts').notNull(),
    timeoutMs: bigint('timeout_ms', { mode: 'number' }).notNull(),
    dependsOn: text('depends_on').array().notNull().default([]),
    notBefore: instant('not_before'),
    createdAt: instant('created_at').notNull().defaultNow(),
    startedAt: instant('started_at'),
    completedAt: instant('completed_at'),
    result: jsonb('result'),
    failure: jsonb('failure'),
    reviewDeadline: instant('review_deadline'),
    configHash: hashColumn('config_hash').notNull(),
  },
  (t) => [
    index('task_runs_night').on(t.nightWorkflowId, t.nightRunId),
    index('task_runs_session').on(t.sessionDate, t.universe, t.task),
    index('task_runs_last').on(t.task, t.startedAt),
    index('task_runs_newest').on(t.createdAt, t.taskRunId),
    // Few, and looked for every second while somebody has the first page open.
    index('task_runs_manual').on(t.createdAt).where(sql`${t.nightRunId} is null`),
    index('task_runs_open')
      .on(t.state)
      .where(sql`${t.state} in ('pending', 'waiting', 'running', 'awaiting_review')`),
    check(
      'task_runs_state',
      sql`${t.state} in ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'awaiting_review', 'cancelled', 'disabled')`,
    ),
  ],
);

export const taskAttempts = ops.table(
  'task_attempts',
  {
    taskRunId: text('task_run_id').notNull(),
    runId: text('run_id').notNull(),
    workflowId: text('workflow_id').notNull(),
    /** 1, 2, … over the whole task run. */
    attempt: integer('attempt').notNull(),
    fenceAttempt: integer('fence_attempt').notNull(),
    state: text('state').notNull(),
    startedAt: instant('started_at').notNull().defaultNow(),
    completedAt: instant('completed_at'),
    failure: jsonb('failure'),
  },
  (t) => [
    primaryKey({ columns: [t.taskRunId, t.runId] }),
    check(
      'task_attempts_state',
      sql`${t.state} in ('running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'superseded')`,
    ),
  ],
);

export const symbolOutcomes = ops.table(
  'symbol_outcomes',
  {
    taskRunId: text('task_run_id').notNull(),
    symbol: symbolColumn().notNull(),
    status: text('status').notNull(),
    reason: text('reason'),
    provider: text('provider'),
    rowsFetched: integer('rows_fetched').notNull().default(0),
    rowsInserted: integer('rows_inserted').notNull().default(0),
    rowsRevised: integer('rows_revised').notNull().default(0),
    rowsQuarantined: integer('rows_quarantined').notNull().default(0),
    rowsFlagged: integer('rows_flagged').notNull().default(0),
    missingSessions: integer('missing_sessions').notNull().default(0),
    firstSession: date('first_session', { mode: 'string' }),
    lastSession: date('last_session', { mode: 'string' }),
    details: jsonb('details').notNull().default({}),
    recordedAt: recordedAt(),
  },
  (t) => [
    primaryKey({ columns: [t.taskRunId, t.symbol] }),
    check('symbol_outcomes_status', sql`${t.status} in ('ok', 'failed', 'no_data')`),
  ],
);

/** Manual runs as they were asked for; the starter takes them. */
export const runRequests = ops.table(
  'run_requests',
  {
    /** Also the task run's id: from an idempotency key, else a UUIDv7. */
    requestId: text('request_id').primaryKey(),
    task: text('task').notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    universe: text('universe').notNull(),
    force: boolean('force').notNull().default(false),
    trigger: text('trigger').notNull().default('manual'),
    configHash: hashColumn('config_hash'),
    requestedBy: text('requested_by').notNull(),
    requestedAt: instant('requested_at').notNull().defaultNow(),
    takenAt: instant('taken_at'),
    takenByWorkflow: text('taken_by_workflow'),
    refusedReason: text('refused_reason'),
  },
  (t) => [
    index('run_requests_open')
      .on(t.requestedAt)
      .where(sql`${t.takenAt} is null and ${t.refusedReason} is null`),
  ],
);

export const reviews = ops.table(
  'reviews',
  {
    reviewId: bigint('review_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    taskRunId: text('task_run_id').notNull(),
    /** Attempts the task run had when the decision was made: one decision per review. */
    afterAttempt: integer('after_attempt').notNull(),
    decision: text('decision').notNull(),
    decidedBy: text('decided_by').notNull(),
    why: text('why').notNull(),
    decidedAt: instant('decided_at').notNull().defaultNow(),
  },
  (t) => [
    uniqueIndex('reviews_once').on(t.taskRunId, t.afterAttempt),
    check('reviews_decision', sql`${t.decision} in ('retry', 'skip', 'abort')`),
  ],
);

/** Human acts. Insert-only for everyone: a trigger refuses the rest. */
export const audit = ops.table(
  'audit',
  {
    auditId: bigint('audit_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: instant('at').notNull().defaultNow(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    subject: text('subject').notNull(),
    why: text('why'),
    details: jsonb('details').notNull().default({}),
    /** The database role that wrote it. */
    role: text('role').notNull().default(sql`current_user`),
  },
  (t) => [index('audit_subject').on(t.subject, t.auditId)],
);

/** Who may use the HTTP API. The secret is not stored, only its SHA-256. */
export const apiTokens = ops.table(
  'api_tokens',
  {
    tokenId: text('token_id').primaryKey(),
    /** Who uses it: the actor of what is done with it. */
    name: text('name').notNull(),
    role: text('role').notNull(),
    secretHash: hashColumn('secret_hash').notNull(),
    createdBy: text('created_by').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [check('api_tokens_role', sql`${t.role} in ('viewer', 'operator', 'admin')`)],
);

/** Tokens that count no more. A row of its own, so that neither table is ever updated. */
export const apiTokenRevocations = ops.table('api_token_revocations', {
  tokenId: text('token_id').primaryKey(),
  revokedBy: text('revoked_by').notNull(),
  why: text('why').notNull(),
  recordedAt: recordedAt(),
});

/** Browsers that are logged in. The cookie's secret is not stored, only its SHA-256. */
export const apiSessions = ops.table('api_sessions', {
  sessionHash: hashColumn('session_hash').primaryKey(),
  tokenId: text('token_id')
    .notNull()
    .references(() => apiTokens.tokenId),
  recordedAt: recordedAt(),
  expiresAt: instant('expires_at').notNull(),
  endedAt: instant('ended_at'),
});

/** What a person should know. One row from its beginning to its end; `key` says what it is about. */
export const alerts = ops.table(
  'alerts',
  {
    alertId: bigint('alert_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    rule: text('rule').notNull(),
    key: text('key').notNull(),
    severity: text('severity').notNull(),
    summary: text('summary').notNull(),
    details: jsonb('details').notNull().default({}),
    openedAt: instant('opened_at').notNull().defaultNow(),
    lastSeenAt: instant('last_seen_at').notNull().defaultNow(),
    resolvedAt: instant('resolved_at'),
  },
  (t) => [
    check('alerts_severity', sql`${t.severity} in ('critical', 'warning', 'info')`),
    uniqueIndex('alerts_one_open').on(t.key).where(sql`${t.resolvedAt} is null`),
    index('alerts_newest').on(t.openedAt),
  ],
);

/** One message of an alert to one channel, sent again until it is out or given up. */
export const alertDeliveries = ops.table(
  'alert_deliveries',
  {
    deliveryId: bigint('delivery_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    alertId: bigint('alert_id', { mode: 'number' })
      .notNull()
      .references(() => alerts.alertId, { onDelete: 'cascade' }),
    channel: text('channel').notNull(),
    kind: text('kind').notNull(),
    state: text('state').notNull().default('pending'),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: instant('next_attempt_at').notNull().defaultNow(),
    lastError: text('last_error'),
    sentAt: instant('sent_at'),
    recordedAt: recordedAt(),
  },
  (t) => [
    check('alert_deliveries_kind', sql`${t.kind} in ('opened', 'resolved')`),
    check('alert_deliveries_state', sql`${t.state} in ('pending', 'sent', 'given_up')`),
    uniqueIndex('alert_deliveries_once').on(t.alertId, t.channel, t.kind),
    index('alert_deliveries_due').on(t.nextAttemptAt).where(sql`${t.state} = 'pending'`),
  ],
);

/** Facts another part must act on, such as a revised bar. */
export const events = ops.table(
  'events',
  {
    eventId: bigint('event_id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    kind: text('kind').notNull(),
    subject: text('subject').notNull(),
    sessionDate: date('session_date', { mode: 'string' }),
    details: jsonb('details').notNull().default({}),
    taskRunId: text('task_run_id'),
    recordedAt: recordedAt(),
    handledAt: instant('handled_at'),
    handledBy: text('handled_by'),
  },
  (t) => [index('events_open').on(t.kind, t.eventId).where(sql`${t.handledAt} is null`)],
);

/** Beats of our own processes; a gap is time in which the runtime was down. */
export const liveness = ops.table(
  'liveness',
  {
    process: text('process').notNull(),
    host: text('host').notNull(),
    pid: integer('pid').notNull(),
    /** Start of an unbroken stretch of beats. */
    upSince: instant('up_since').notNull(),
    beatAt: instant('beat_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.process, t.host, t.pid, t.upSince] }),
    index('liveness_beat').on(t.process, t.beatAt),
  ],
);

export const scheduleState = ops.table('schedule_state', {
  scheduleId: text('schedule_id').primaryKey(),
  paused: boolean('paused').notNull(),
  note: text('note'),
  firstEnabledAt: instant('first_enabled_at'),
  specHash: hashColumn('spec_hash'),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export const stepTimings = ops.table(
  'step_timings',
  {
    taskRunId: text('task_run_id').notNull(),
    step: text('step').notNull(),
    seconds: doublePrecision('seconds').notNull(),
    details: jsonb('details').notNull().default({}),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.taskRunId, t.step] })],
);

/** Member lists as a plan resolved them; ingestion, the only writer of master data, copies them there. */
export const universeLists = ops.table(
  'universe_lists',
  {
    universe: text('universe').notNull(),
    version: hashColumn('version').notNull(),
    members: text('members').array().notNull(),
    survivorship: text('survivorship').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.universe, t.version] })],
);
