import { createDriftActivities } from '../../src/activities/drift/activities.ts';
import { writeParquet } from '../../src/artifacts/parquet.ts';
import type { DriftActivities, TaskResult } from '../../src/contracts/activities.ts';
import { insertDataset } from '../../src/db/queries/training.ts';
import { manifestBytes } from '../../src/domain/dataset.ts';
import { featureSetVersion } from '../../src/domain/features/registry.ts';
import { createRng } from '../../src/domain/statistics/rng.ts';
import { runActivity, type TaskRig } from './task-rig.ts';

export const SYMBOLS = Array.from({ length: 12 }, (_, i) => `S${String(i).padStart(2, '0')}`);
export const FEATURES = ['ret1', 'vol21', 'rankRet1', 'weekday'];
export const UNIVERSE_VERSION = 'v1';
const HISTORY = 520;
/** Sessions from which `ret1` is another distribution. */
const SHIFT_FROM = 499;

/** Dates of weekdays, as long as the market lives. */
export const dates = Array.from({ length: HISTORY }, (_, i) => {
  const day = Date.UTC(2016, 0, 4) + (Math.floor(i / 5) * 7 + (i % 5)) * 86_400_000;
  return new Date(day).toISOString().slice(0, 10);
});

/** A market of four features of which one changes, and the nights that watch it. */
export class DriftMarket {
  readonly #rig: TaskRig;
  readonly activities: DriftActivities;

  constructor(rig: TaskRig) {
    this.#rig = rig;
    this.activities = createDriftActivities(rig.deps());
  }

  /** The dataset of a session as training leaves it: the same market, cut at that session. */
  async storeDataset(last: number, universeVersion = UNIVERSE_VERSION): Promise<string> {
    const sessions = last + 1;
    const { artifacts } = this.#rig;
    const parquet = await artifacts.put(await writeParquet(columns(sessions)));
    const manifest = {
      schemaVersion: 1 as const,
      sessionDate: dates[last] ?? '',
      universe: 'tiny',
      universeVersion,
      featureSetVersion: featureSetVersion(),
      labelKind: 'excess' as const,
      horizonSessions: 1,
      embargoSessions: 5,
      sessions: dates.slice(0, sessions),
      symbols: SYMBOLS,
      features: FEATURES,
      rows: sessions * SYMBOLS.length,
      rowStartBySession: Array.from({ length: sessions + 1 }, (_, s) => s * SYMBOLS.length),
      blocks: [],
      finalTrain: { firstSessionIndex: 0, lastSessionIndex: last - 1 },
      scoreSessionIndex: last,
    };
    const { hash } = await artifacts.put(manifestBytes(manifest, parquet.hash));
    await this.#rig.db('pipeline').sql.begin((tx) =>
      insertDataset(tx, {
        ...manifest,
        datasetHash: hash,
        parquetHash: parquet.hash,
        symbols: SYMBOLS.length,
        sessions,
        inputHash: `input ${String(last)} ${universeVersion}`,
        manifest: { ...manifest, parquetHash: parquet.hash },
        coverage: {},
      }),
    );
    return hash;
  }

  /** Drift of a session whose dataset is stored, and the heartbeats it sent. */
  async night(
    last: number,
    universeVersion = UNIVERSE_VERSION,
  ): Promise<{ result: TaskResult; heartbeats: unknown[] }> {
    const sessionDate = dates[last] ?? '';
    const step = await this.#rig.begin({ task: 'driftMonitoring', sessionDate, universeVersion });
    const { result, heartbeats } = await runActivity(this.activities, 'runDrift', step);
    await this.#rig.finish(step, result);
    return { result, heartbeats };
  }

  /** Row versions: a row that was written again, even equal, makes another print. */
  async fingerprint(): Promise<Record<string, string>> {
    const prints: Record<string, string> = {};
    for (const table of ['drift_log', 'drift_baselines', 'drift_anchors', 'retraining_flags']) {
      const [row] = await this.#rig.db('owner').sql.unsafe<{ print: string }[]>(
        `select count(*) || ':' || coalesce(sum(hashtextextended(t::text || t.xmin::text, 0))::text, '') as print
         from turbomode.${table} t`,
      );
      prints[table] = row?.print ?? '';
    }
    return prints;
  }
}

function columns(sessions: number): { name: string; values: Float32Array }[] {
  const rows = sessions * SYMBOLS.length;
  const rng = createRng(5);
  const ret1 = new Float32Array(rows);
  const vol21 = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const session = Math.floor(row / SYMBOLS.length);
    ret1[row] = (session >= SHIFT_FROM ? 4 : 1) * rng.normal();
    vol21[row] = rng.uniform() < 0.02 ? Number.NaN : rng.normal();
  }
  const position = (f: (session: number, symbol: number) => number) =>
    Float32Array.from({ length: rows }, (_, row) =>
      f(Math.floor(row / SYMBOLS.length), row % SYMBOLS.length),
    );
  return [
    { name: 'ret1', values: ret1 },
    { name: 'vol21', values: vol21 },
    { name: 'rankRet1', values: position((_, symbol) => (symbol + 0.5) / SYMBOLS.length) },
    { name: 'weekday', values: position((session) => (session % 5) + 1) },
  ];
}
