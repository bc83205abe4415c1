/**
 * Drift of 40 features, a baseline of 200,000 values against 10,000: PSI, KL in both directions, KS with p-value.
 *
 * `node bench/run.mjs drift [--rounds 9] [--python PATH] [--json FILE]`. The reference script computes the same five
 * numbers from the same values with numpy and scipy, once from the raw baseline and once from a presorted one; the
 * results must agree before a time is printed. Medians of the rounds; one warm-up round is dropped everywhere.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  createBaseline,
  klDivergence,
  ksTest,
  psi,
  type Baseline,
  type Samples,
} from '../src/domain/drift.ts';
import { createRng } from '../src/domain/statistics/rng.ts';

const FEATURES = 40;
const BASELINE_ROWS = 200_000;
const CURRENT_ROWS = 10_000;
const STORED = 'ours, stored baseline';
const GOAL_SECONDS = 0.2;

interface Feature {
  readonly baseline: Float64Array;
  readonly current: Float64Array;
}

interface Reference {
  readonly seconds: Record<string, number[]>;
  readonly plain: number[][];
  readonly presorted: number[][];
}

/** Features as they are: float32 precision, some skewed, some rounded to ties, some shifted a little. */
function makeFeatures(): Feature[] {
  const rng = createRng(20_180_207);
  return Array.from({ length: FEATURES }, (_, feature) => {
    const draw = (shift: number): number => {
      const value = rng.normal() + shift;
      if (feature % 4 === 1) return Math.fround(Math.exp(value));
      if (feature % 4 === 2) return Math.round(value * 20) / 20;
      return Math.fround(value);
    };
    return {
      baseline: Float64Array.from({ length: BASELINE_ROWS }, () => draw(0)),
      current: Float64Array.from({ length: CURRENT_ROWS }, () => draw((feature % 5) * 0.01)),
    };
  });
}

function compare(baseline: Samples | Baseline, current: Samples): number[] {
  const kl = klDivergence(baseline, current);
  const ks = ksTest(baseline, current);
  return [psi(baseline, current), kl.currentGivenBaseline, kl.baselineGivenCurrent, ks.statistic, ks.pValue];
}

function time(rounds: number, work: () => number[][]): { seconds: number[]; rows: number[][] } {
  const seconds: number[] = [];
  let rows: number[][] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    rows = work();
    if (round > 0) seconds.push((performance.now() - startedAt) / 1000);
  }
  return { seconds, rows };
}

function runReference(features: Feature[], options: { rounds: number; python: string }): Reference {
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-bench-'));
  try {
    const raw = join(folder, 'features.f64');
    const parts = features.flatMap(({ baseline, current }) => [baseline, current]);
    writeFileSync(raw, Buffer.concat(parts.map((part) => Buffer.from(part.buffer))));
    const shape = [FEATURES, BASELINE_ROWS, CURRENT_ROWS, options.rounds].map(String);
    const script = join('bench', 'drift_reference.py');
    const run = spawnSync(options.python, [script, raw, ...shape], { encoding: 'utf8', maxBuffer: 1 << 26 });
    if (run.status !== 0) throw new Error(`the reference failed: ${run.stderr || String(run.error)}`);
    return JSON.parse(run.stdout) as Reference;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function largestDifference(a: number[][], b: number[][]): number {
  return Math.max(
    ...a.flatMap((row, i) => row.map((value, k) => Math.abs(value - (b[i]?.[k] ?? Number.NaN)))),
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      python: { type: 'string', default: join('.venv', 'bin', 'python') },
      json: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  const features = makeFeatures();
  const stored = features.map(({ baseline }) => createBaseline(baseline));
  const ours = time(rounds, () => features.map(({ current }, i) => compare(stored[i]!, current)));
  const storing = time(Math.ceil(rounds / 3), () =>
    features.map(({ baseline }) => [createBaseline(baseline).edges.length]),
  );
  const reference = runReference(features, { rounds, python: values.python });
  const difference = Math.max(
    largestDifference(ours.rows, reference.plain),
    largestDifference(ours.rows, reference.presorted),
  );
  if (!(difference < 1e-9)) throw new Error(`results differ from the reference by ${difference}`);

  const seconds: Record<string, number[]> = {
    [STORED]: ours.seconds,
    'ours, storing the baselines': storing.seconds,
    ...reference.seconds,
  };
  const base = median(ours.seconds);
  console.log(
    `${FEATURES} features, ${BASELINE_ROWS} against ${CURRENT_ROWS}; largest difference ${difference.toExponential(1)}`,
  );
  console.log(
    `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}, medians of ${rounds}`,
  );
  const lines = Object.entries(seconds).map(([name, times]) => {
    return { name, seconds: median(times), timesOurs: median(times) / base };
  });
  for (const line of lines) {
    const milliseconds = (line.seconds * 1000).toFixed(1).padStart(9);
    console.log(
      `${line.name.padEnd(32)} ${milliseconds} ms  ${line.timesOurs.toFixed(2).padStart(6)} x ours`,
    );
  }
  console.log(`goal: ${STORED} under ${GOAL_SECONDS} s: ${base < GOAL_SECONDS ? 'met' : 'missed'}`);
  if (values.json)
    writeFileSync(
      values.json,
      `${JSON.stringify({ features: FEATURES, rounds, difference, lines }, null, 2)}\n`,
    );
}

main();
