import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NIGHT_TASKS, type NightTask } from '../../src/contracts/wire/names.ts';
import {
  type ChaosFolder,
  chaosFolder,
  differingTables,
  type NightRun,
  preparedFolder,
  runNight,
  VICTIMS,
  type Victim,
} from './harness.ts';

type Case = { victim: Victim; task: NightTask };

const MATRIX: Case[] = VICTIMS.flatMap((victim) => NIGHT_TASKS.map((task) => ({ victim, task })));
/** Each victim once, each task once. */
const FIVE: Case[] = [
  { victim: 'postgres', task: 'ingestion' },
  { victim: 'ml', task: 'training' },
  { victim: 'temporal', task: 'overnightScan' },
  { victim: 'worker', task: 'backtest' },
  { victim: 'all', task: 'driftMonitoring' },
];
const cases = process.env['NIGHTSHIFT_CHAOS'] === 'all' ? MATRIX : FIVE;

describe('a night survives kill -9', () => {
  const rows: string[] = [];
  let undisturbed: NightRun;
  let prepared: ChaosFolder;

  beforeAll(async () => {
    prepared = await preparedFolder();
    const folder = await chaosFolder(prepared);
    undisturbed = await runNight({ dataDir: folder.path });
    await folder.dispose();
  });

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
    const folder = await chaosFolder(prepared);
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

  it.each(cases)('of $victim during $task', async ({ victim, task }) => {
    const folder = await chaosFolder(prepared);
    try {
      const night = await runNight({ dataDir: folder.path, kill: { victim, task } });
      const attempts = night.report.tasks.map((entry) => `${entry.task} ${entry.attempts}`).join(', ');
      rows.push(
        `| ${victim} | ${task} | ${night.report.status} | ${(night.wallMs / 1000).toFixed(1)} s | ${attempts} |`,
      );
      expect(night.report.status).toBe('succeeded');
      expect(differingTables(undisturbed, night)).toEqual([]);
    } finally {
      await folder.dispose();
    }
  });
});

const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
