import { z } from '@hono/zod-openapi';
import {
  databaseErrorCode,
  isCancelledStatement,
  isRefusedLogin,
  isTransientDatabaseError,
} from '../db/errors.ts';
import { isTemporalGone } from '../temporal/gone.ts';
import { ScheduleConflictError } from '../temporal/schedule-server.ts';

/** Kinds of problems with their status and title. Their names are stable: clients branch on them. */
const PROBLEMS = {
  'invalid-input': { status: 400, title: 'The request is not right' },
  unauthorized: { status: 401, title: 'A token is needed' },
  forbidden: { status: 403, title: 'This token may not do that' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'method-not-allowed': { status: 405, title: 'This is there for other methods' },
  conflict: { status: 409, title: 'It is otherwise by now' },
  'dependency-not-met': { status: 409, title: 'A task it needs did not succeed' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body has another type' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'internal-error': { status: 500, title: 'Our mistake' },
  'database-down': { status: 503, title: 'Postgres does not answer' },
  'temporal-down': { status: 503, title: 'Temporal does not answer' },
  'timed-out': { status: 503, title: 'Something behind the API is silent' },
  'not-configured': { status: 503, title: 'No configuration is applied yet' },
} as const;
export type ProblemKind = keyof typeof PROBLEMS;
export type ProblemStatus = (typeof PROBLEMS)[ProblemKind]['status'];

export const problemSchema = z
  .object({
    type: z.string().openapi({ example: 'urn:nightshift:problem:dependency-not-met' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: 'What happened, in words' }),
    instance: z.string().openapi({ description: 'Path that was asked' }),
    requestId: z.string(),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .openapi({ description: 'What is wrong with which field' }),
  })
  .openapi('Problem', { description: 'RFC 9457 problem details' });
export type ProblemDetails = z.infer<typeof problemSchema>;

/** Thrown by handlers; answered as problem details. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;
  readonly errors: { field: string; message: string }[] | undefined;
  /** More headers of the answer. */
  readonly headers: Record<string, string>;

  constructor(
    kind: ProblemKind,
    detail: string,
    options: {
      errors?: { field: string; message: string }[];
      headers?: Record<string, string>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }

  get status(): ProblemStatus {
    return PROBLEMS[this.kind].status;
  }
}

/** Input that is right in form and not in meaning. */
export function fieldProblem(field: string, message: string): Problem {
  return new Problem('invalid-input', `${field}: ${message}`, { errors: [{ field, message }] });
}

/** The body of a problem's answer. */
export function problemDetails(
  problem: Problem,
  where: { instance: string; requestId: string },
): ProblemDetails {
  const { status, title } = PROBLEMS[problem.kind];
  return {
    type: `urn:nightshift:problem:${problem.kind}`,
    title,
    status,
    detail: problem.message,
    ...where,
    ...(problem.errors !== undefined && { errors: problem.errors }),
  };
}

/** `character_not_in_repertoire`, `untranslatable_character`, `datetime_field_overflow`: a NUL, a year 0. */
const NO_VALUES: readonly (string | null)[] = ['22021', '22P05', '22008'];

/** What an error means for who asked. Anything unknown is our mistake, without its words. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ScheduleConflictError) return new Problem('conflict', error.message, { cause: error });
  const headers = { 'retry-after': '5' };
  if (isTransientDatabaseError(error))
    return new Problem('database-down', 'Postgres does not answer; try again in a moment', {
      headers,
      cause: error,
    });
  if (isRefusedLogin(error))
    return new Problem('database-down', 'Postgres refuses the login of the API; its log says why', {
      headers,
      cause: error,
    });
  if (isCancelledStatement(error))
    return new Problem('timed-out', 'Postgres took too long for it, and it was given up', {
      headers,
      cause: error,
    });
  if (NO_VALUES.includes(databaseErrorCode(error)))
    return new Problem('invalid-input', 'it holds a character or a date that no row can have', {
      cause: error,
    });
  if (isTemporalGone(error))
    return new Problem('temporal-down', 'the Temporal server does not answer; try again in a moment', {
      headers,
      cause: error,
    });
  return new Problem('internal-error', 'an unexpected error; the log has it under this request id', {
    cause: error,
  });
}

/** Where an error comes from, for the log: its stack, and those of what caused it, at most four. */
export function stackOf(error: unknown): string {
  const stacks: string[] = [];
  for (let one: unknown = error; one instanceof Error && stacks.length < 4; one = one.cause)
    stacks.push(one.stack ?? one.message);
  return stacks.length === 0 ? String(error) : stacks.join('\ncaused by: ');
}
