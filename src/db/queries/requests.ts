import type { ReviewDecision } from '../../contracts/activities.ts';
import type { Task, Trigger } from '../../contracts/wire/names.ts';
import type { Queryable, Sql } from '../client.ts';
import { jsonb } from '../client.ts';

export type NewRunRequest = {
  /** Also the task run's id. */
  requestId: string;
  task: Task;
  sessionDate: string;
  universe: string;
  force: boolean;
  trigger: Trigger;
  configHash: string | null;
  requestedBy: string;
};
export type RunRequestRow = NewRunRequest & {
  requestedAt: string;
  takenAt: string | null;
  takenByWorkflow: string | null;
  refusedReason: string | null;
};

/** A new id that sorts by time (UUIDv7). */
export async function newRunId(sql: Queryable): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select uuidv7()::text as id`;
  if (row === undefined) throw new Error('uuidv7() gave no row');
  return row.id;
}

/** Stores a manual run as asked for; the same id again changes nothing. Returns whether it is new. */
export async function insertRunRequest(sql: Queryable, request: NewRunRequest): Promise<boolean> {
  const rows = await sql`
    insert into ops.run_requests (request_id, task, session_date, universe, force, trigger, config_hash, requested_by)
    values (${request.requestId}, ${request.task}, ${request.sessionDate}, ${request.universe},
      ${request.force}, ${request.trigger}, ${request.configHash}, ${request.requestedBy})
    on conflict do nothing returning 1`;
  return rows.length > 0;
}

/** Marks a request as taken by a starter and returns it; null if it is not known. */
export async function takeRunRequest(
  sql: Queryable,
  input: { requestId: string; workflowId: string },
): Promise<RunRequestRow | null> {
  const [row] = await sql<RunRequestRow[]>`
    update ops.run_requests set taken_at = coalesce(taken_at, now()),
      taken_by_workflow = coalesce(taken_by_workflow, ${input.workflowId})
    where request_id = ${input.requestId} returning *`;
  return row ?? null;
}

/** Closes a request that will not run, with the reason people see. */
export async function refuseRunRequest(
  sql: Queryable,
  input: { requestId: string; reason: string },
): Promise<void> {
  await sql`
    update ops.run_requests set refused_reason = ${input.reason}
    where request_id = ${input.requestId} and refused_reason is null`;
}

/** Takes a request back that nobody has taken yet; false when it is too late for that. */
export async function withdrawRunRequest(
  sql: Queryable,
  input: { requestId: string; reason: string },
): Promise<boolean> {
  const rows = await sql`
    update ops.run_requests set refused_reason = ${input.reason}
    where request_id = ${input.requestId} and taken_at is null and refused_reason is null returning 1`;
  return rows.length > 0;
}

export async function findRunRequest(sql: Queryable, requestId: string): Promise<RunRequestRow | null> {
  const [row] = await sql<RunRequestRow[]>`select * from ops.run_requests where request_id = ${requestId}`;
  return row ?? null;
}

/** Requests that nobody took for this long: their signal was lost and is sent again. */
export async function untakenRunRequests(sql: Queryable, olderThanSeconds: number): Promise<RunRequestRow[]> {
  return await sql<RunRequestRow[]>`
    select * from ops.run_requests
    where taken_at is null and refused_reason is null
      and requested_at <= now() - ${olderThanSeconds}::float8 * interval '1 second'
    order by requested_at`;
}

/** Requests that a workflow took this long ago, and of which there is neither a run nor a refusal. */
export async function unplannedRunRequests(
  sql: Queryable,
  olderThanSeconds: number,
): Promise<RunRequestRow[]> {
  return await sql<RunRequestRow[]>`
    select * from ops.run_requests r
    where refused_reason is null and taken_at <= now() - ${olderThanSeconds}::float8 * interval '1 second'
      and not exists (select 1 from ops.task_runs t where t.task_run_id = r.request_id)
    order by requested_at`;
}

export type NewAudit = {
  actor: string;
  action: string;
  subject: string;
  why?: string | null;
  details?: unknown;
};
export type AuditRow = {
  auditId: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  why: string | null;
  details: unknown;
  role: string;
};

/** Records a human act. */
export async function insertAudit(sql: Queryable, audit: NewAudit): Promise<void> {
  await sql`
    insert into ops.audit (actor, action, subject, why, details)
    values (${audit.actor}, ${audit.action}, ${audit.subject}, ${audit.why ?? null},
      ${sql.json(jsonb(audit.details ?? {}))})`;
}

/** Newest first. */
export async function listAudit(
  sql: Queryable,
  filter: {
    subject?: string;
    /** Only what came before this entry. */
    before?: number | null;
    limit?: number;
  } = {},
): Promise<AuditRow[]> {
  const { subject, before = null } = filter;
  return await sql<AuditRow[]>`
    select * from ops.audit where ${subject === undefined ? sql`true` : sql`subject = ${subject}`}
      and ${before === null ? sql`true` : sql`audit_id < ${before}`}
    order by audit_id desc limit ${filter.limit ?? 100}`;
}

export type NewReview = { taskRunId: string; decision: ReviewDecision; by: string; why: string };
export type ReviewRow = {
  reviewId: number;
  taskRunId: string;
  /** Attempts that the run had when it was decided: tells one review of a run from the next. */
  afterAttempt: number;
  decision: ReviewDecision;
  decidedBy: string;
  why: string;
  decidedAt: string;
};

/**
 * One decision of one named person: review row and audit row in one transaction. The same decision
 * again within its review (no attempt began since) adds nothing.
 */
export async function insertReview(sql: Sql, review: NewReview): Promise<void> {
  await sql.begin(async (tx) => {
    const [run] = await tx<{ attempts: number }[]>`
      select attempts from ops.task_runs where task_run_id = ${review.taskRunId} for no key update`;
    const attempts = run?.attempts ?? 0;
    const inserted = await tx`
      insert into ops.reviews (task_run_id, after_attempt, decision, decided_by, why)
      values (${review.taskRunId}, ${attempts}, ${review.decision}, ${review.by}, ${review.why})
      on conflict (task_run_id, after_attempt) do nothing returning 1`;
    if (inserted.length === 0) return;
    await insertAudit(tx, {
      actor: review.by,
      action: `review.${review.decision}`,
      subject: review.taskRunId,
      why: review.why,
    });
  });
}

/** Decisions on a task run, oldest first. */
export async function reviewsOf(sql: Queryable, taskRunId: string): Promise<ReviewRow[]> {
  return await sql<ReviewRow[]>`
    select * from ops.reviews where task_run_id = ${taskRunId} order by review_id`;
}
