/**
 * The way from bars to a dataset on the bundled set: features, labels, rows, Parquet, and reading it back.
 *
 * `node bench/run.mjs dataset [--rounds 3]`. Medians in seconds, one core; there is no reference to compare with.
 */
import { parseArgs } from 'node:util';
import { readParquet, writeParquet } from '../src/artifacts/parquet.ts';
import { assembleDataset } from '../src/domain/dataset.ts';
import { computeFeatures } from '../src/domain/features/panel.ts';
import { featureSetVersion } from '../src/domain/features/registry.ts';
import { computeLabels } from '../src/domain/labels.ts';
import { planWalkForward } from '../src/domain/splitter.ts';
import { alignBars, loadBenchBars } from './lib/bars.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const { source, symbols } = await loadBenchBars();
const input = alignBars(symbols);
const seconds = new Map<string, number[]>();

async function timed<T>(step: string, run: () => T | Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await run();
  seconds.set(step, [...(seconds.get(step) ?? []), (performance.now() - startedAt) / 1000]);
  return result;
}

let size = '';
for (let round = 0; round < Number(values.rounds); round += 1) {
  const features = await timed('features', () => computeFeatures(input));
  const labels = await timed('labels', () => computeLabels({ ...input, horizonSessions: 1 }));
  const plan = planWalkForward({ sessions: input.sessions, horizonSessions: 1 });
  const dataset = await timed('rows', () =>
    assembleDataset({
      ...input,
      features,
      labels,
      labelKind: 'excess',
      plan,
      universe: 'sp500',
      universeVersion: 'bench',
      featureSetVersion: featureSetVersion(),
    }),
  );
  const bytes = await timed('write', () => writeParquet(dataset.columns));
  await timed('read', () => readParquet(bytes));
  size = `${String(dataset.manifest.rows)} rows x ${String(dataset.columns.length)} columns, ${(bytes.length / 1e6).toFixed(0)} MB`;
}
console.log(`${source}: ${size}`);
for (const [step, times] of seconds)
  console.log(`${step.padEnd(10)} ${median(times).toFixed(2).padStart(6)} s`);
