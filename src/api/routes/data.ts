import { z } from '@hono/zod-openapi';
import type { QuarantineDecision } from '../../contracts/decisions.ts';
import { TASKS } from '../../contracts/wire/names.ts';
import type { QuarantineRow } from '../../db/queries/quarantine.ts';
import {
  countSessionsBehind,
  findLastClosedSession,
  findQuarantineRow,
  type QuarantineEnd,
  readOutcomePage,
  readQuarantinePage,
  readSourceFreshness,
} from '../../db/queries/result-data.ts';
import type { SymbolOutcome } from '../../db/queries/symbol-outcomes.ts';
import { readNewestResults, type TaskResultRun } from '../../db/queries/task-results.ts';
import type { ApiDeps, Caller } from '../deps.ts';
import { itemBatchesOf, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { decideQuarantineFor } from '../quarantine.ts';
import { keyPart, requireResult, requireResultOf } from '../results.ts';
import { newRouter } from '../router.ts';
import { formatOf, streamItems } from '../streams.ts';
import {
  coverageResult,
  coverageRoute,
  freshnessRoute,
  outcomeSchema,
  outcomesRoute,
  quarantineRoute,
  rejectRoute,
  releaseRoute,
} from './data-definitions.ts';
import { quarantinedOf, quarantineKey } from './quarantine-schema.ts';

const quarantineId = z.tuple([keyPart.symbol, keyPart.date, keyPart.name, keyPart.name]);
type QuarantineId = readonly [string, string, string, string];
/** The run a page is of, then its last symbol. */
const outcomeKey = z.tuple([keyPart.run, keyPart.symbol]);

/** Data: coverage, quarantine with its decisions, freshness. */
export function dataRoutes(deps: ApiDeps) {
  const { sql, log } = deps;
  return newRouter()
    .openapi(coverageRoute, async (c) => {
      const run = await requireResult(sql, 'ingestion', c.req.valid('query'));
      return c.json({ ...coverageResult.parse(run.result), ...nightOf(run) }, 200);
    })
    .openapi(outcomesRoute, async (c) => {
      const { limit, pageToken, format: asked, status, ...night } = c.req.valid('query');
      const after = keyIn(pageToken, outcomeKey);
      const run =
        after === null
          ? await requireResult(sql, 'ingestion', night)
          : await requireResultOf(sql, { task: 'ingestion', taskRunId: after[0] });
      const { taskRunId, sessionDate, universe } = run;
      const list: KeyedList<SymbolOutcome, [string, string]> = {
        read: (key, rows) =>
          readOutcomePage(sql, { taskRunId, status, after: key?.[1] ?? null, limit: rows }),
        keyOf: ({ symbol }) => [taskRunId, symbol],
      };
      const format = formatOf(c, asked);
      if (format !== 'json') {
        const name = `coverage-${universe}-${sessionDate}`;
        const batches = itemBatchesOf(list, after, outcomeOf);
        return await streamItems(c, { format, schema: outcomeSchema, name, batches, log });
      }
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json({ ...nightOf(run), items: rows.map(outcomeOf), nextPageToken }, 200);
    })
    .openapi(quarantineRoute, async (c) => {
      const { limit, pageToken, status, symbol } = c.req.valid('query');
      const filter = { status: status === 'all' ? undefined : status, symbol: symbol?.toUpperCase() };
      const list: KeyedList<QuarantineRow, QuarantineId> = {
        read: (key, rows) => {
          const after = key === null ? null : rowKeyOf(key);
          return readQuarantinePage(sql, { filter, after, limit: rows });
        },
        keyOf: quarantineKey,
      };
      const after = keyIn<QuarantineId>(pageToken, quarantineId);
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      return c.json({ items: rows.map(quarantinedOf), nextPageToken }, 200);
    })
    .openapi(releaseRoute, async (c) => {
      const { why, row = null } = c.req.valid('json');
      const { id } = c.req.valid('param');
      const caller = c.get('caller');
      return c.json(await decide(deps, { id, decision: 'release', row, why, caller }), 200);
    })
    .openapi(rejectRoute, async (c) => {
      const { why } = c.req.valid('json');
      const { id } = c.req.valid('param');
      const caller = c.get('caller');
      return c.json(await decide(deps, { id, decision: 'reject', row: null, why, caller }), 200);
    })
    .openapi(freshnessRoute, async (c) => {
      const at = new Date().toISOString();
      const [last, newest, sources] = await Promise.all([
        findLastClosedSession(sql, at),
        readNewestResults(sql),
        readSourceFreshness(sql),
      ]);
      const ingested = newest.filter(({ task }) => task === 'ingestion');
      const behind =
        last === null
          ? new Map<string, number>()
          : await countSessionsBehind(sql, {
              from: ingested.map(({ sessionDate }) => sessionDate),
              through: last.sessionDate,
            });
      const universes = [...new Set(newest.map(({ universe }) => universe))].map((universe) => {
        const session = ingested.find((run) => run.universe === universe)?.sessionDate;
        return {
          universe,
          sessionsBehind: session === undefined ? null : (behind.get(session) ?? null),
          tasks: newest
            .filter((run) => run.universe === universe)
            .toSorted((a, b) => TASKS.indexOf(a.task) - TASKS.indexOf(b.task))
            .map(({ task, sessionDate, completedAt, taskRunId }) => ({
              task,
              sessionDate,
              completedAt,
              runId: taskRunId,
            })),
        };
      });
      return c.json(
        {
          at,
          lastClosedSession: last?.sessionDate ?? null,
          universes,
          sources: sources.map((source) => ({ ...source })),
        },
        200,
      );
    });
}

function nightOf({ sessionDate, universe, universeVersion, taskRunId, completedAt }: TaskResultRun) {
  return { sessionDate, universe, universeVersion, runId: taskRunId, completedAt };
}

function outcomeOf({ details, ...row }: SymbolOutcome): z.infer<typeof outcomeSchema> {
  return { ...row, absence: details.absence?.class ?? null };
}

function rowKeyOf([symbol, sessionDate, subject, provider]: QuarantineId): QuarantineEnd {
  return { symbol, sessionDate, subject, provider };
}

/** A person's decision about the row of an id. */
async function decide(
  { sql, client }: ApiDeps,
  asked: { id: string; decision: QuarantineDecision; row: number | null; why: string; caller: Caller },
) {
  const { id, decision, row, why, caller } = asked;
  const key = rowKeyIn(id);
  const stored = key === null ? null : await findQuarantineRow(sql, key);
  if (key === null || stored === null) throw new Problem('not-found', `there is no quarantined row ${id}`);
  const given = await decideQuarantineFor(client, { ...key, decision, row, by: caller.name, why });
  const { symbol, sessionDate, provider, status, decidedBy, decidedAt } = given;
  const { subject } = key;
  return { id, symbol, sessionDate, subject, provider, status, decidedBy, decidedAt, why: given.why };
}

/** The key in an id; null for one that is none of ours. */
function rowKeyIn(id: string): QuarantineEnd | null {
  try {
    const key = keyIn<QuarantineId>(id, quarantineId);
    return key === null ? null : rowKeyOf(key);
  } catch {
    return null;
  }
}
