import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NIGHT_TASKS } from '../../src/contracts/wire/names.ts';
import { differingTables, type Kill, nightLimitMs, type NightRun, runNight, VICTIMS } from './harness.ts';
import { copyFolder, preparedFolder, type TestFolder } from '../support/prepared-folder.ts';

const MATRIX: Kill[] = VICTIMS.flatMap((victim) => NIGHT_TASKS.map((task) => ({ victim, task })));
/** Each victim once, each task once. */
const FIVE: Kill[] = [
  { victim: 'postgres', task: 'ingestion' },
  { victim: 'ml', task: 'training' },
  { victim: 'temporal', task: 'overnightScan' },
  { victim: 'worker', task: 'backtest' },
  { victim: 'all', task: 'driftMonitoring' },
];
/** The whole matrix, a night for each case; or the five in one night, which has to survive them all. */
const nights: Kill[][] = process.env['NIGHTSHIFT_CHAOS'] === 'all' ? MATRIX.map((kill) => [kill]) : [FIVE];
const inWords = (kills: readonly Kill[]): string =>
  kills.map(({ victim, task }) => `${victim} during ${task}`).join(', then ');

describe('a night survives kill -9', () => {
  const rows: string[] = [];
  let undisturbed: NightRun;
  let prepared: TestFolder;

  beforeAll(async () => {
    prepared = await preparedFolder();
    const folder = await copyFolder(prepared);
    undisturbed = await runNight({ dataDir: folder.path });
    await folder.dispose();
  }, nightLimitMs(0) + 60_000);

  afterAll(async () => {
    await prepared.dispose();
    if (process.env['NIGHTSHIFT_CHAOS_TABLE'] === undefined) return;
    writeFileSync(process.env['NIGHTSHIFT_CHAOS_TABLE'], `${rows.join('\n')}\n`);
  });

  it('runs undisturbed with every task succeeded', () => {
    expect(undisturbed.report.tasks.map(({ task, status }) => [task, status])).toEqual(
      NIGHT_TASKS.map((task) => [task, 'succeeded']),
    );
  });

  it('shared by two model workers leaves the rows of one', async () => {
    const folder = await copyFolder(prepared);
    try {
      const shared = await runNight({ dataDir: folder.path, mlWorkers: 2 });
      expect(shared.report.status).toBe('succeeded');
      expect(Object.keys(undisturbed.fitsByWorker)).toEqual(['ml-1']);
      expect(Object.keys(shared.fitsByWorker).sort()).toEqual(['ml-1', 'ml-2']);
      // Both did real work, and together what one does alone.
      expect(Math.min(...Object.values(shared.fitsByWorker))).toBeGreaterThan(2);
      expect(total(shared.fitsByWorker)).toBe(total(undisturbed.fitsByWorker));
      expect(differingTables(undisturbed, shared)).toEqual([]);
    } finally {
      await folder.dispose();
    }
  });

  it.each(nights.map((kills) => [inWords(kills), kills] as const))(
    'of %s',
    async (words, kills) => {
      const folder = await copyFolder(prepared);
      try {
        const night = await runNight({ dataDir: folder.path, kills });
        const attempts = night.report.tasks.map((entry) => `${entry.task} ${entry.attempts}`).join(', ');
        rows.push(
          `| ${words} | ${night.report.status} | ${(night.wallMs / 1000).toFixed(1)} s | ${attempts} |`,
        );
        expect(night.report.status).toBe('succeeded');
        expect(night.killed).toHaveLength(kills.length);
        expect(differingTables(undisturbed, night)).toEqual([]);
      } finally {
        await folder.dispose();
      }
    },
    nightLimitMs(FIVE.length) + 60_000,
  );
});

const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
