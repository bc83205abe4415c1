import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { createDecisionActivities } from '../../src/activities/decisions/activities.ts';
import type { ApiRole } from '../../src/contracts/api-tokens.ts';
import { readDriftCells } from '../../src/db/queries/dashboard-drift.ts';
import { readDriftLog } from '../../src/db/queries/drift.ts';
import { listAudit } from '../../src/db/queries/requests.ts';
import { findTaskResult } from '../../src/db/queries/task-results.ts';
import { readSessionTable, XNYS_CALENDAR_FILE } from '../../src/providers/calendar-file.ts';
import { LogFiles } from '../../src/runtime/log-files.ts';
import { createFakes } from '../support/fakes.ts';
import { NEXT, type ResultHouse, S, UNIVERSE } from './result-house.ts';

function largestOf(drift: Record<string, unknown>): { feature: string; psi: number } | undefined {
  return z.array(z.object({ feature: z.string(), psi: z.number() })).parse(drift['largest'])[0];
}

/** Puts three bars into quarantine, and nothing else. */
export async function holdBack(house: ResultHouse): Promise<void> {
  const { sql } = house.rig.db('owner');
  await sql`delete from market.quarantine`;
  for (const symbol of ['AAPL', 'BAC', 'GE'])
    await sql`
      insert into market.quarantine (symbol, session_date, provider, price_basis, codes, reason, raw, available_at)
      values (${symbol}, '2010-01-04', 'archive', 'as-traded', '{highBelowLow}', 'high below low',
        ${JSON.stringify([{ open: 10, high: 12, low: 9, close: 11, volume: 5 }])}::jsonb, now())`;
}

/** Drift, data, logs and what is refused, over the night of a house. */
export function checkDataRoutes(house: ResultHouse): void {
  describe('drift', () => {
    type Row = { series: string; baseline: string; psi: number | null };

    it('is that of the report, with every series against both baselines', async () => {
      const told = house.resultOf('driftMonitoring');
      const night = await house.get<Record<string, unknown>>('/api/v1/drift?limit=1');
      // What it was made of stands in other answers.
      for (const [name, value] of Object.entries(told))
        if (name !== 'datasetHash' && name !== 'modelVersion')
          expect([name, night[name]]).toEqual([name, value]);
      const rows = await house.everywhere<Row>('/api/v1/drift', 33);
      const [count] = await house.rig.db('api').sql<{ rows: number }[]>`
      select count(*) as rows from turbomode.drift_log`;
      expect(rows).toHaveLength(count?.rows ?? 0);
      const largest = largestOf(told);
      expect(
        rows.find(({ series, baseline }) => series === largest?.feature && baseline === 'rolling')?.psi,
      ).toBe(largest?.psi);
      expect(await house.pages<Row>('/api/v1/drift?baseline=anchored', 500)).toHaveLength(
        rows.filter(({ baseline }) => baseline === 'anchored').length,
      );
    });

    it('of one series goes over sessions, now beside its baseline', async () => {
      const largest = largestOf(house.resultOf('driftMonitoring'));
      const name = largest?.feature ?? '';
      const rows = await house.everywhere<Row>(`/api/v1/drift/${name}`, 5);
      expect(rows).toMatchObject([{ series: name, baseline: 'rolling', psi: largest?.psi, sessionDate: S }]);
      const { edges, baseline, current } = await house.get<{
        edges: number[];
        baseline: { shares: number[]; missing: number | null };
        current: { shares: number[]; sessions: number; rows: number; missing: number | null };
      }>(`/api/v1/drift/${name}/distribution`);
      expect(baseline.shares).toHaveLength(edges.length + 1);
      expect(current.shares).toHaveLength(edges.length + 1);
      expect(current).toMatchObject({ sessions: 1, rows: 8 });
      const sum = (shares: number[], missing: number | null) =>
        shares.reduce((total, share) => total + share, missing ?? 0);
      expect(sum(current.shares, current.missing)).toBeCloseTo(1, 10);
      expect(sum(baseline.shares, baseline.missing)).toBeCloseTo(1, 2);
      expect((await house.ask('/api/v1/drift/nothing')).status).toBe(404);
      expect((await house.ask('/api/v1/drift/nothing/distribution')).status).toBe(404);
      const issued = await house.get<{ current: object }>('/api/v1/drift/prediction:lightgbm/distribution');
      expect(issued.current).toMatchObject({ sessions: 1, rows: 8, firstSession: S, lastSession: S });
    });

    it('of the members that the run watched is not mixed with that of another list, which was logged later', async () => {
      const { sql } = house.rig.db('owner');
      const read = house.rig.db('api').sql;
      const run = await findTaskResult(read, { task: 'driftMonitoring', sessionDate: S, universe: UNIVERSE });
      if (run === null) throw new Error('no run of drift monitoring');
      const shown = () =>
        Promise.all([
          readDriftLog(read, run),
          readDriftCells(read, { universe: UNIVERSE, sessions: [S], kind: 'rolling' }),
        ]);
      const before = await shown();
      expect(before.map(({ length }) => length > 0)).toEqual([true, true]);
      const others = { universe_version: 'others', status: 'other', recorded_at: '2100-01-01T00:00:00Z' };
      await sql`
        insert into turbomode.drift_log
        select (jsonb_populate_record(d, ${sql.json(others)})).* from turbomode.drift_log d`;
      expect(await shown()).toEqual(before);
      await sql`delete from turbomode.drift_log where universe_version = 'others'`;
    });

    it('lists retraining flags, those that are no longer due too', async () => {
      expect(await house.pages('/api/v1/retraining-flags', 10)).toEqual([]);
      const flags = [
        ['2018-01-24', [{ series: 'vol21', baseline: 'rolling', words: 'alarm' }]],
        ['2018-01-26', []],
      ] as const;
      for (const [session, reasons] of flags)
        await house.rig.db('owner').sql`
        insert into turbomode.retraining_flags (session_date, universe, universe_version, model_version, reasons,
          task_run_id)
        values (${session}, ${UNIVERSE}, 'v', 'm', ${JSON.stringify(reasons)}::jsonb, 'run')`;
      expect(await house.pages('/api/v1/retraining-flags', 1)).toMatchObject([
        { sessionDate: '2018-01-26', raised: false },
        { sessionDate: '2018-01-24', raised: true, reasons: [{ series: 'vol21' }] },
      ]);
    });
  });

  describe('data', () => {
    it('says what came in, symbol by symbol, as the report does', async () => {
      const coverage = await house.get<Record<string, unknown>>(`/api/v1/data/coverage?session=${S}`);
      expect(coverage['coverage']).toEqual(house.report.coverage);
      for (const [name, value] of Object.entries(house.resultOf('ingestion')))
        expect([name, coverage[name]]).toEqual([name, value]);
      const newest = await house.get<Record<string, unknown>>('/api/v1/data/coverage');
      expect(newest).toMatchObject({ sessionDate: NEXT });
      const symbols = await house.everywhere<{ symbol: string; status: string }>(
        `/api/v1/data/coverage/symbols?session=${S}`,
        3,
      );
      expect(symbols.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 'ok'));
      expect(await house.pages(`/api/v1/data/coverage/symbols?session=${S}&status=failed`, 3)).toEqual([]);
    });

    it('says how far behind the exchange it is', async () => {
      const { universes, sources, lastClosedSession } =
        await house.get<Record<string, unknown>>('/api/v1/data/freshness');
      const calendar = await readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE));
      const over = calendar.filter(({ closeMs }) => closeMs <= Date.now());
      expect(lastClosedSession).toBe(over.at(-1)?.sessionDate);
      expect(universes).toMatchObject([
        {
          universe: UNIVERSE,
          sessionsBehind: over.filter(({ sessionDate }) => sessionDate > NEXT).length,
          tasks: [
            { task: 'ingestion', sessionDate: NEXT },
            { task: 'training', sessionDate: S },
            { task: 'overnightScan', sessionDate: S },
            { task: 'backtest', sessionDate: S },
            { task: 'driftMonitoring', sessionDate: S },
          ],
        },
      ]);
      expect(sources).toMatchObject([{ provider: 'archive', nightSession: NEXT }]);
    });

    describe('in quarantine', () => {
      beforeEach(async () => {
        await holdBack(house);
        const decisions = createDecisionActivities({
          db: house.rig.db('ingest'),
          sessions: () => readSessionTable(join(projectRoot, XNYS_CALENDAR_FILE)),
          clock: () => new Date('2018-02-08T05:00:00Z'),
        });
        house.temporal.use({ ...createFakes().activities, ...decisions });
      });

      type Quarantined = { id: string; symbol: string; status: string };
      const decide = (id: string, verb: string, why = 'checked by phone', as: ApiRole = 'operator') =>
        house.ask(`/api/v1/data/quarantine/${id}/${verb}`, { method: 'POST', as, body: { why } });

      it('rows are decided once, by a named operator, through the workflow', async () => {
        const rows = await house.pages<Quarantined>('/api/v1/data/quarantine', 2);
        expect(rows.map(({ symbol }) => symbol)).toEqual(['AAPL', 'BAC', 'GE']);
        const [first, second] = rows;
        const id = first?.id ?? '';
        expect((await decide(id, 'release', 'x', 'viewer')).status).toBe(403);
        expect((await decide(id, 'release', ' ')).status).toBe(400);
        const released = await decide(id, 'release');
        expect(released, released.text).toMatchObject({
          status: 200,
          body: { status: 'released', symbol: 'AAPL', decidedBy: 'the operator', why: 'checked by phone' },
        });
        // The same again is the same decision; any other one comes too late.
        expect((await decide(id, 'release')).body).toEqual(released.body);
        expect(await decide(id, 'release', 'another reason')).toMatchObject({ status: 409 });
        expect(await decide(id, 'reject')).toMatchObject({
          status: 409,
          body: {
            type: 'urn:nightshift:problem:conflict',
            detail: expect.stringMatching(/was released by/) as string,
          },
        });
        expect((await decide(second?.id ?? '', 'reject')).status).toBe(200);
        const left = await house.pages<Quarantined>('/api/v1/data/quarantine', 5);
        expect(left.map(({ symbol }) => symbol)).toEqual(['GE']);
        const all = await house.pages<Quarantined>('/api/v1/data/quarantine?status=all', 5);
        expect(all.map(({ status }) => status)).toEqual(['released', 'rejected', 'pending']);
        expect(await house.pages('/api/v1/data/quarantine?status=rejected&symbol=bac', 5)).toHaveLength(1);
        const [bar] = await house.rig.db('api').sql`
        select close from market.bars where symbol = 'AAPL' and session_date = '2010-01-04'`;
        expect(bar).toEqual({ close: 11 });
        // The night of S did not know it, so its story does not either.
        const [oldest] = await house.pages<{ sessionDate: string }>('/api/v1/symbols/AAPL/bars', 1_000);
        expect(oldest?.sessionDate.slice(0, 4)).toBe('2016');
        const audit = await listAudit(house.rig.db('api').sql, { limit: 10 });
        expect(audit).toMatchObject(
          expect.arrayContaining([
            expect.objectContaining({ actor: 'the operator', action: 'quarantine.released' }),
          ]) as object,
        );
      });

      it('a row that nobody has is not found', async () => {
        const unknown = Buffer.from('["ZZZ","2018-01-02","bar","archive"]').toString('base64url');
        for (const id of [unknown, 'zzz']) expect((await decide(id, 'release')).status).toBe(404);
      });
    });
  });

  describe('logs', () => {
    type Log = { items: { message: string; level: string }[]; before: string | null; folder: string };

    it('are read backwards, parsed, from the log folder alone', async () => {
      const files = new LogFiles(house.logDir, { maxBytes: 2_000, taskBackups: 20, schedulerBackups: 20 });
      for (let index = 0; index < 60; index += 1)
        files.write({
          time: new Date(Date.UTC(2018, 1, 8, 4, 0, index)),
          level: index % 2 === 0 ? 'INFO' : 'WARNING',
          logger: 'nightshift.worker',
          message: `line ${index}`,
          source: 'worker-1',
          task: 'training',
          fields: {
            workflowId: 'training/2018-01-29/tiny',
            runId: 'r1',
            attempt: 1,
            done: index,
            ...(index % 20 === 0 && { taskRunId: 'mine' }),
          },
        });
      const seen: string[] = [];
      let path: string | null = '/api/v1/logs/training?lines=7';
      let newest: Log | undefined;
      while (path !== null) {
        const page: Log = await house.get<Log>(path);
        newest ??= page;
        seen.unshift(...page.items.map(({ message }) => message));
        path = page.before === null ? null : `/api/v1/logs/training?lines=7&before=${page.before}`;
      }
      expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => `line ${index}`));
      expect(newest?.items.at(-1)).toEqual({
        timestamp: '2018-02-08T04:00:59.000Z',
        logger: 'nightshift.worker',
        level: 'WARNING',
        message: 'line 59',
        workflowId: 'training/2018-01-29/tiny',
        runId: 'r1',
        taskRunId: null,
        activity: null,
        attempt: '1',
        fields: { done: '59' },
      });
      const { items } = await house.get<Log>('/api/v1/logs/training?lines=60&taskRunId=mine');
      expect(items.map(({ message }) => message)).toEqual(['line 0', 'line 20', 'line 40']);
      for (const query of ['scheduler', `training?folder=${encodeURIComponent('../..')}`, 'backtest'])
        expect((await house.ask(`/api/v1/logs/${query}`)).status, query).toBe(404);
      expect((await house.ask('/api/v1/logs/lunch')).status).toBe(400);
    });
  });

  describe('what is not right', () => {
    const evil = (...parts: unknown[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url');

    it.each([
      [`/api/v1/signals?pageToken=${evil(S, 'tiny', 'v', 'm', 1, 1, 'A\0')}`, 'pageToken'],
      [`/api/v1/signals?pageToken=${evil(S, "x' or 1=1 --", 'v', 'm', 1, 1, 'A')}`, 'pageToken'],
      ['/api/v1/signals?session=0000-01-01', 'session'],
      ['/api/v1/signals?sort=luck', 'sort'],
      ['/api/v1/signals?format=xml', 'format'],
      ['/api/v1/signals?limit=1001', 'limit'],
      [`/api/v1/symbols/${encodeURIComponent("A' or 1=1")}`, 'symbol'],
      ['/api/v1/symbols/AAPL/bars?adjust=magic', 'adjust'],
      [`/api/v1/symbols/AAPL/bars?pageToken=${evil('2018-13-01')}`, 'pageToken'],
      [`/api/v1/models/${encodeURIComponent('a b')}`, 'version'],
      [`/api/v1/models?pageToken=${evil(S, 'soon', 'v')}`, 'pageToken'],
      ['/api/v1/backtests/soon', 'session'],
      [`/api/v1/backtests/${S}/metrics?pageToken=${evil('b', 'm', 'd', '\0', 'x')}`, 'pageToken'],
      ['/api/v1/drift?baseline=none', 'baseline'],
      ['/api/v1/data/quarantine?status=lost', 'status'],
      ['/api/v1/logs/training?lines=0', 'lines'],
      ['/api/v1/logs/training?before=zzz', 'before'],
    ])('%s is refused and names its field', async (path, field) => {
      expect(await house.ask(path)).toMatchObject({ status: 400, body: { errors: [{ field }] } });
    });

    it('says in words where there is nothing', async () => {
      for (const path of ['signals', 'drift', 'data/coverage', 'symbols/AAPL', 'symbols/AAPL/bars'])
        expect(await house.ask(`/api/v1/${path}?session=2017-01-03`)).toMatchObject({
          status: 404,
          body: { detail: expect.stringMatching(/has succeeded$/) as string },
        });
      expect(await findTaskResult(house.rig.db('api').sql, { task: 'weeklyMaintenance' })).toBeNull();
    });
  });
}
