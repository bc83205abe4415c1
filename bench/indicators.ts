/**
 * The thirteen shared indicators (TA-Lib's defaults) for 505 symbols, against TA-Lib and pandas on the same data.
 *
 * `node bench/run.mjs indicators [--rounds 9] [--python PATH] [--json FILE]`. A row is one bar through all
 * thirteen indicators. Ours runs on one core and on two worker threads; the reference script runs TA-Lib symbol
 * by symbol and pandas on wide frames. Medians of the rounds; one warm-up round is dropped everywhere.
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origin */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  adx,
  atr,
  bollinger,
  cci,
  ema,
  macd,
  mfi,
  obv,
  roc,
  rsi,
  sma,
  stochastic,
  williamsR,
} from '../src/domain/indicators.ts';
import { loadBenchBars, type BenchBars } from './lib/bars.ts';

interface Slice extends BenchBars {
  /** Bytes of the same layout in memory that all threads share. */
  memory: SharedArrayBuffer;
}

/** One pass of every indicator over every `stride`-th symbol; returns a checksum so that nothing is skipped. */
function pass(bars: Slice, first: number, stride: number): number {
  const { sessions, symbols, memory } = bars;
  const field = (index: number, symbol: number): Float64Array =>
    new Float64Array(memory, (index * symbols + symbol) * sessions * 8, sessions);
  const last = sessions - 1;
  let sum = 0;
  for (let s = first; s < symbols; s += stride) {
    const high = field(0, s);
    const low = field(1, s);
    const close = field(2, s);
    const volume = field(3, s);
    sum += sma(close, 30)[last]! + ema(close, 30)[last]! + rsi(close, 14)[last]!;
    sum += macd(close).histogram[last]! + atr(high, low, close, 14)[last]!;
    sum += bollinger(close).upper[last]! + adx(high, low, close, 14)[last]!;
    sum += obv(close, volume)[last]! + stochastic(high, low, close).d[last]!;
    sum += cci(high, low, close, 14)[last]! + williamsR(high, low, close, 14)[last]!;
    sum += roc(close, 10)[last]! + mfi(high, low, close, volume, 14)[last]!;
  }
  return sum;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function timeOneCore(bars: Slice, rounds: number): number[] {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    pass(bars, 0, 1);
    if (round > 0) times.push((performance.now() - startedAt) / 1000);
  }
  return times;
}

async function timeWorkers(bars: Slice, options: { rounds: number; threads: number }): Promise<number[]> {
  const { rounds, threads } = options;
  const file = new URL(import.meta.url);
  const workers = Array.from({ length: threads }, (_, first) => {
    return new Worker(file, { workerData: { bars, first, stride: threads } });
  });
  const nextMessage = (worker: Worker): Promise<unknown> => once(worker, 'message');
  await Promise.all(workers.map(nextMessage));
  const times: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    const answers = Promise.all(workers.map(nextMessage));
    for (const worker of workers) worker.postMessage('go');
    await answers;
    if (round > 0) times.push((performance.now() - startedAt) / 1000);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return times;
}

function runWorker(): void {
  const { bars, first, stride } = workerData as { bars: Slice; first: number; stride: number };
  pass(bars, first, stride);
  parentPort?.on('message', () => parentPort?.postMessage(pass(bars, first, stride)));
  parentPort?.postMessage('ready');
}

/** TA-Lib and pandas on the very same numbers, handed over as one raw file. */
function timeReference(bars: Slice, options: { rounds: number; python: string }): Record<string, number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-bench-'));
  try {
    const raw = join(folder, 'bars.f64');
    writeFileSync(raw, new Uint8Array(bars.memory));
    const shape = [String(bars.symbols), String(bars.sessions), String(options.rounds)];
    const script = join('bench', 'indicators_reference.py');
    const run = spawnSync(options.python, [script, raw, ...shape], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`the reference failed: ${run.stderr || String(run.error)}`);
    return JSON.parse(run.stdout) as Record<string, number[]>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      python: { type: 'string', default: join('.venv', 'bin', 'python') },
      json: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  const loaded = await loadBenchBars();
  const memory = new SharedArrayBuffer(loaded.values.byteLength);
  new Float64Array(memory).set(loaded.values);
  const bars: Slice = { ...loaded, memory };
  const rows = bars.symbols * bars.sessions;
  const seconds: Record<string, number[]> = {
    'ours, one core': timeOneCore(bars, rounds),
    'ours, two threads': await timeWorkers(bars, { rounds, threads: 2 }),
    ...timeReference(bars, { rounds, python: values.python }),
  };
  const base = median(seconds['TA-Lib, one core'] ?? []);
  console.log(
    `${bars.source}: ${String(bars.symbols)} symbols x ${String(bars.sessions)} sessions = ${String(rows)} rows`,
  );
  console.log(
    `${String(cpus().length)} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}, medians of ${String(rounds)}`,
  );
  const lines = Object.entries(seconds).map(([name, times]) => {
    const middle = median(times);
    return { name, seconds: middle, rowsPerSecond: rows / middle, ratioToTalib: base / middle };
  });
  for (const line of lines) {
    const rate = (line.rowsPerSecond / 1e6).toFixed(2);
    console.log(
      `${line.name.padEnd(20)} ${(line.seconds * 1000).toFixed(1).padStart(8)} ms ${rate.padStart(8)} million rows/s  ${line.ratioToTalib.toFixed(2)} x TA-Lib`,
    );
  }
  if (values.json)
    writeFileSync(values.json, `${JSON.stringify({ source: bars.source, rows, rounds, lines }, null, 2)}\n`);
}

if (isMainThread) await main();
else runWorker();
