/** How an error of the database should be treated by who asked. */
export type DatabaseErrorClass = 'transient' | 'refused' | 'conflict' | 'rejected' | 'unknown';

/** Why a statement has no answer: the connection died, or was cut or never made by this side. */
export type ConnectionCode =
  | 'CONNECTION_CLOSED'
  | 'CONNECTION_ENDED'
  | 'CONNECTION_DESTROYED'
  | 'CONNECT_TIMEOUT';

/** Our codes and those of Node that mean: no answer, ask again. */
const CONNECTION_CODES = new Set<string>([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** SQLSTATEs outside the transient classes that a repetition can cure. */
const TRANSIENT_STATES = new Set(['40001', '40P01', '55P03', '57P01', '57P02', '57P03', '57P05', '25006']);
/** 08 connection, 53 out of resources, 58 system error. */
const TRANSIENT_CLASSES = new Set(['08', '53', '58']);
/** 22 value out of its domain, 23 constraint, 42 wrong statement: the same statement fails the same way. */
const REJECTED_CLASSES = new Set(['22', '23', '42']);
/** A table that a migration is about to make is no mistake yet. */
const UNDEFINED_TABLE = '42P01';

/** `code` of an error of Postgres (SQLSTATE) or of the socket; null for other errors. */
export function databaseErrorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/**
 * Class of a database error: `transient` (ask again), `refused` (missing right), `conflict` (unique or
 * exclusion violation), `rejected` (our mistake), `unknown`; null if it is not a database error.
 */
export function classifyDatabaseError(error: unknown): DatabaseErrorClass | null {
  const code = databaseErrorCode(error);
  if (code === null) return null;
  if (CONNECTION_CODES.has(code) || isMissingSocket(error, code)) return 'transient';
  if (!/^[0-9A-Z]{5}$/.test(code)) return null;
  if (TRANSIENT_STATES.has(code) || TRANSIENT_CLASSES.has(code.slice(0, 2))) return 'transient';
  if (code === '42501' || code.startsWith('28')) return 'refused';
  if (code === '23505' || code === '23P01') return 'conflict';
  return REJECTED_CLASSES.has(code.slice(0, 2)) && code !== UNDEFINED_TABLE ? 'rejected' : 'unknown';
}

/** A server's socket file that is not there yet; a file of another kind that is missing is no database error. */
function isMissingSocket(error: unknown, code: string): boolean {
  return code === 'ENOENT' && error instanceof Error && 'syscall' in error && error.syscall === 'connect';
}

/** True when the same statement may succeed a moment later. */
export function isTransientDatabaseError(error: unknown): boolean {
  return classifyDatabaseError(error) === 'transient';
}

/** True where the server ended a statement because it took too long, or somebody cancelled it. */
export function isCancelledStatement(error: unknown): boolean {
  return databaseErrorCode(error) === '57014';
}

/** True where the server does not let this login in: its password, its host, or a database that is not there. */
export function isRefusedLogin(error: unknown): boolean {
  const code = databaseErrorCode(error) ?? '';
  return error instanceof PostgresError && (code.startsWith('28') || code === '3D000');
}

/** What the server says it cannot do. Its name is part of retry policies. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError';
  /** SQLSTATE. */
  readonly code: string;
  /** `ERROR`; `FATAL` and `PANIC` end the connection. */
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly where: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;

  constructor(message: string, fields: PostgresErrorFields) {
    super(message);
    this.code = fields.code ?? 'XX000';
    this.severity = fields.severity ?? 'ERROR';
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.where = fields.where;
    this.schema = fields.schema;
    this.table = fields.table;
    this.column = fields.column;
    this.constraint = fields.constraint;
  }
}

/** Fields of an error message of the server, as far as it sent them. */
export type PostgresErrorFields = {
  [K in 'code' | 'severity' | 'detail' | 'hint' | 'where' | 'schema' | 'table' | 'column' | 'constraint']?:
    | string
    | undefined;
};

/** No answer: whether the statement was carried out is not known, and its transaction is gone. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ConnectionCode;

  constructor(code: ConnectionCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A statement for a transaction or connection that was given back: it was not carried out anywhere. */
export class TransactionEnded extends Error {
  override readonly name = 'TransactionEnded';
}

/** The writing attempt is no longer the current one of its task run: nothing of it may be stored. */
export class SupersededAttempt extends Error {
  override readonly name = 'SupersededAttempt';
}
