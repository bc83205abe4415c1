import { createRoute, z } from '@hono/zod-openapi';
import { TASKS } from '../../contracts/wire/names.ts';
import { requireRole } from '../auth.ts';
import { rowsQuery, streamQuery } from '../key-pages.ts';
import { nightQuery, symbolSchema } from '../results.ts';
import { quarantineFields } from './quarantine-schema.ts';
import { BODY_PROBLEMS, foundAnswers, problems, whySchema } from './schemas.ts';
import { pageAnswers, pageFields, streamAnswers } from './list-answers.ts';

/** What ingestion's result says, as the report prints it. */
export const coverageResult = z.object({
  totalSymbols: z.int(),
  successful: z.int(),
  failed: z.int(),
  noData: z.int(),
  totalCandles: z.int(),
  rowsFetched: z.int(),
  rowsInserted: z.int(),
  rowsRevised: z.int(),
  rowsChanged: z.int(),
  quarantined: z.int().openapi({ description: 'Impossible rows that nobody released' }),
  quarantineUndecided: z.int(),
  flagged: z.int().openapi({ description: 'Doubtful bars, which count as missing' }),
  notes: z.int(),
  flagsByKind: z.record(z.string(), z.int()),
  doubtfulSessions: z.array(z.object({ sessionDate: z.string(), bars: z.int(), kinds: z.array(z.string()) })),
  reviews: z
    .array(z.object({ symbol: z.string(), sessionDate: z.string(), subject: z.string(), reason: z.string() }))
    .default([]),
  reviewsOpen: z.int().default(0),
  coverage: z.object({
    fromSession: z.string(),
    throughSession: z.string(),
    members: z.int(),
    withBar: z.int(),
    usable: z.int(),
    ratio: z.number(),
    missingSessions: z.int(),
  }),
  absent: z
    .array(
      z.object({
        symbol: z.string(),
        class: z.string(),
        sessions: z.int(),
        lastBar: z.string().nullable(),
        reason: z.string().nullable(),
      }),
    )
    .default([])
    .openapi({ description: 'Who has no bar of the session and why, at most twenty of each class' }),
  absentByClass: z.record(z.string(), z.int()).default({}),
  failures: z.array(z.object({ symbol: z.string(), reason: z.string().nullable() })),
  providers: z.array(z.string()),
  priceBasis: z.string(),
  survivorship: z.enum(['biased', 'unbiased', 'unknown']),
});

const nightFields = {
  sessionDate: z.string(),
  universe: z.string(),
  universeVersion: z.string(),
  runId: z.string(),
  completedAt: z.string(),
};

export const outcomeSchema = z
  .object({
    symbol: z.string(),
    status: z.enum(['ok', 'failed', 'no_data']),
    reason: z.string().nullable(),
    provider: z.string().nullable(),
    rowsFetched: z.int(),
    rowsInserted: z.int(),
    rowsRevised: z.int(),
    rowsQuarantined: z.int(),
    rowsFlagged: z.int(),
    missingSessions: z.int(),
    firstSession: z.string().nullable(),
    lastSession: z.string().nullable(),
    absence: z
      .string()
      .nullable()
      .openapi({ description: 'Class of a symbol without a bar of the session: halted, delisted, …' }),
  })
  .openapi('SymbolCoverage');

const quarantinedSchema = z.object(quarantineFields).openapi('Quarantined');

const freshnessSchema = z
  .object({
    at: z.string(),
    lastClosedSession: z
      .string()
      .nullable()
      .openapi({ description: 'Newest session of the exchange that is over' }),
    universes: z.array(
      z.object({
        universe: z.string(),
        sessionsBehind: z
          .int()
          .nullable()
          .openapi({ description: 'Sessions over since the newest that came in; null: none has' }),
        tasks: z
          .array(
            z.object({
              task: z.enum(TASKS),
              sessionDate: z.string(),
              completedAt: z.string(),
              runId: z.string(),
            }),
          )
          .openapi({ description: 'The newest success of each task' }),
      }),
    ),
    sources: z.array(
      z.object({
        provider: z.string(),
        dataset: z.string(),
        priceBasis: z.string(),
        fetchedAt: z.string(),
        nightSession: z.string().nullable(),
      }),
    ),
  })
  .openapi('Freshness');

export const coverageRoute = createRoute({
  method: 'get',
  path: '/api/v1/data/coverage',
  tags: ['Data'],
  summary: 'What came in for a session: coverage, doubts, quarantine, who is absent and why',
  request: { query: nightQuery },
  responses: foundAnswers('The coverage', coverageResult.extend(nightFields).openapi('Coverage')),
});

export const outcomesRoute = createRoute({
  method: 'get',
  path: '/api/v1/data/coverage/symbols',
  tags: ['Data'],
  summary: 'The same symbol by symbol',
  request: {
    query: streamQuery.extend({ ...nightQuery.shape, status: outcomeSchema.shape.status.optional() }),
  },
  responses: streamAnswers(
    z.object({ ...nightFields, ...pageFields(outcomeSchema) }).openapi('SymbolCoveragePage'),
  ),
});

export const quarantineRoute = createRoute({
  method: 'get',
  path: '/api/v1/data/quarantine',
  tags: ['Data'],
  summary: 'Rows that cannot be true, splits and dividends that prices deny, tickers after a long gap',
  request: {
    query: rowsQuery.extend({
      status: z.enum(['pending', 'released', 'rejected', 'all']).default('pending'),
      symbol: symbolSchema.optional(),
    }),
  },
  responses: pageAnswers(z.object({ ...pageFields(quarantinedSchema) }).openapi('QuarantinePage')),
});

const decidedSchema = z
  .object({
    id: z.string(),
    symbol: z.string(),
    sessionDate: z.string(),
    subject: z.string(),
    provider: z.string(),
    status: z.enum(['released', 'rejected']),
    decidedBy: z.string(),
    decidedAt: z.string(),
    why: z.string(),
  })
  .openapi('QuarantineDecided');

const idParam = z.object({ id: z.string().regex(/^[\w-]{1,400}$/) });
const decideResponses = {
  200: { description: 'Decided', content: { 'application/json': { schema: decidedSchema } } },
  ...problems(...BODY_PROBLEMS, 401, 403, 404, 409, 429, 503),
};

export const releaseRoute = createRoute({
  method: 'post',
  path: '/api/v1/data/quarantine/{id}/release',
  tags: ['Data'],
  summary: 'Make it a bar, apply the split, believe the dividend, join what the gap parts: from now on',
  middleware: [requireRole('operator')] as const,
  request: {
    params: idParam,
    body: {
      content: {
        'application/json': {
          schema: z.object({
            why: whySchema,
            row: z
              .int()
              .min(1)
              .max(1_000)
              .optional()
              .openapi({ description: 'Which of several delivered bars, from 1' }),
          }),
        },
      },
      required: true,
    },
  },
  responses: decideResponses,
});

export const rejectRoute = createRoute({
  method: 'post',
  path: '/api/v1/data/quarantine/{id}/reject',
  tags: ['Data'],
  summary: 'Keep the bar out, do not apply the split, do not believe the dividend, do not join',
  middleware: [requireRole('operator')] as const,
  request: {
    params: idParam,
    body: { content: { 'application/json': { schema: z.object({ why: whySchema }) } }, required: true },
  },
  responses: decideResponses,
});

export const freshnessRoute = createRoute({
  method: 'get',
  path: '/api/v1/data/freshness',
  tags: ['Data'],
  summary: 'How far behind the exchange each universe is, and when each source delivered last',
  responses: {
    200: { description: 'As of now', content: { 'application/json': { schema: freshnessSchema } } },
    ...problems(401, 429, 503),
  },
});
