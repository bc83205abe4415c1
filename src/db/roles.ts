import type { Tx } from './client.ts';

/** Roles that processes log in with. The owner (migrations only) is whoever `ownerUrl` names. */
export const ROLES = ['ingest', 'pipeline', 'ml', 'maintenance', 'api'] as const;
export type Role = (typeof ROLES)[number];
export type RolePasswords = Record<Role, string>;

/** Name of the role in Postgres. */
export function roleName(role: Role): string {
  return `nightshift_${role}`;
}

/** The same database, host and options as `url`, logged in as `role`. */
export function roleUrl(input: { url: string; role: Role; password: string }): string {
  const url = new URL(input.url);
  url.username = roleName(input.role);
  url.password = encodeURIComponent(input.password);
  return url.toString();
}

/** Rows a human act or a frozen configuration left: read and insert, for everyone. */
const APPEND_ONLY = [
  'ops.audit',
  'ops.configs',
  'ops.config_applications',
  'ops.api_tokens',
  'ops.api_token_revocations',
];
/** Shown to people once: a change is a new revision beside the old. */
const NEVER_OVERWRITTEN = [
  'turbomode.predictions',
  'turbomode.signals',
  'turbomode.model_promotions',
  'turbomode.holdout_openings',
];
/** What master data said before: replaced rows are kept as they were. */
const PREDECESSORS = [
  'market.bar_revisions',
  'market.split_revisions',
  'market.dividend_revisions',
  'market.fundamental_revisions',
];
/** What a person asks for through the API. */
const REQUESTS = ['ops.run_requests', 'ops.audit', 'ops.api_tokens', 'ops.api_token_revocations'];
const SESSIONS = 'ops.api_sessions';
/** What retention may remove, and nothing else. */
const RETAINED = [
  'turbomode.session_features',
  'turbomode.datasets',
  'turbomode.fold_fits',
  'turbomode.predictions',
  'turbomode.signals',
  'turbomode.matured_predictions',
  'turbomode.backtest_runs',
  'turbomode.backtest_metrics',
  'turbomode.equity_curves',
  'turbomode.drift_baselines',
  'turbomode.drift_log',
  'market.bar_revisions',
  'ops.symbol_outcomes',
  'ops.step_timings',
  'ops.liveness',
  'ops.events',
  'ops.alerts',
  'ops.alert_deliveries',
];

/**
 * Creates the login roles where missing and sets their passwords. Roles belong to the whole
 * server, so two databases may do this at once: a name that exists by now is not an error.
 */
export async function ensureRoles(tx: Tx, passwords: RolePasswords): Promise<void> {
  for (const role of ROLES) {
    const name = roleName(role);
    // Utility statements take no parameters: format() quotes name and password.
    const [statements] = await tx<{ create: string; alter: string }[]>`
      select format('create role %I login', ${name}::text) as create,
             format('alter role %I login password %L', ${name}::text, ${passwords[role]}::text) as alter`;
    if (statements === undefined) throw new Error('format() gave no row');
    const [known] = await tx`select 1 from pg_roles where rolname = ${name}`;
    if (known === undefined) {
      await tx.savepoint((inner) => inner.unsafe(statements.create)).catch(ignoreExisting);
    }
    await tx.unsafe(statements.alter);
  }
}

function ignoreExisting(error: unknown): void {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  // 42710 duplicate_object, 23505 the same seen as a unique violation of the catalog.
  if (code !== '42710' && code !== '23505') throw error;
}

/** Grants of every role, as statements; everything else is revoked first, so the list is the truth. */
export function grantStatements(): string[] {
  const all = ROLES.map(roleName).join(', ');
  const [ingest, pipeline, ml, maintenance, api] = ROLES.map(roleName);
  const schemas = 'market, turbomode, ops';
  return [
    `revoke all on schema ${schemas} from public, ${all}`,
    `revoke all on all tables in schema ${schemas} from public, ${all}`,
    `revoke all on all sequences in schema ${schemas} from public, ${all}`,
    // Ingestion: master data and operations; the model database does not exist for it.
    `grant usage on schema market, ops to ${ingest}`,
    `grant select, insert, update on all tables in schema market, ops to ${ingest}`,
    `revoke update on ${PREDECESSORS.join(', ')} from ${ingest}`,
    // Everything derived: reads master data, writes turbomode and operations.
    `grant usage on schema ${schemas} to ${pipeline}, ${ml}, ${maintenance}, ${api}`,
    `grant select on all tables in schema ${schemas} to ${pipeline}, ${ml}, ${maintenance}, ${api}`,
    `grant insert, update on all tables in schema turbomode, ops to ${pipeline}`,
    `revoke update on ${[...NEVER_OVERWRITTEN, ...APPEND_ONLY].join(', ')} from ${pipeline}, ${ingest}`,
    // The pause of a schedule goes with it.
    `grant delete on ops.schedule_state to ${pipeline}`,
    // Model workers say that they are alive; the activities that called them write their results.
    `grant insert, update on ops.liveness to ${ml}`,
    // Maintenance: vacuum everything, delete by retention, say what it did in operations.
    `grant maintain on all tables in schema ${schemas} to ${maintenance}`,
    `grant delete on ${RETAINED.join(', ')} to ${maintenance}`,
    `grant insert, update on all tables in schema ops to ${maintenance}`,
    `grant update on turbomode.datasets to ${maintenance}`,
    `revoke update on ${APPEND_ONLY.join(', ')} from ${maintenance}`,
    // The API: reads all, leaves requests and audit rows.
    `grant insert on ${REQUESTS.join(', ')} to ${api}`,
    // Who is logged in is the API's own; maintenance removes what has expired.
    `revoke all on ${SESSIONS} from ${ingest}, ${pipeline}, ${ml}, ${maintenance}`,
    `grant select, insert, update on ${SESSIONS} to ${api}`,
    `grant select, delete, maintain on ${SESSIONS} to ${maintenance}`,
    `grant usage on all sequences in schema ops to ${ingest}, ${pipeline}, ${maintenance}, ${api}`,
    `grant usage on all sequences in schema market to ${ingest}`,
    `grant usage on all sequences in schema turbomode to ${pipeline}`,
  ];
}
