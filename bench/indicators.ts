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
import { median } from './lib/report.ts';

/** High, low, close and volume of all symbols, one after the other, in memory that all threads share. */
interface Shared {
  memory: SharedArrayBuffer;
  /** First row of each symbol, and the number of rows as the last element. */
  starts: readonly number[];
}

const FIELDS = ['high', 'low', 'close', 'volume'] as const;

function share(market: BenchBars['symbols']): Shared {
  const starts = [0];
  for (const { close } of market.values()) starts.push(starts.at(-1)! + close.length);
  const rows = starts.at(-1)!;
  const memory = new SharedArrayBuffer(FIELDS.length * rows * 8);
  for (const [f, name] of FIELDS.entries()) {
    const all = new Float64Array(memory, f * rows * 8, rows);
    for (const [s, bars] of [...market.values()].entries()) all.set(bars[name], starts[s]);
  }
  return { memory, starts };
}

/** One pass of every indicator over every `stride`-th symbol; returns a checksum so that nothing is skipped. */
function pass({ memory, starts }: Shared, first: number, stride: number): number {
  const rows = starts.at(-1)!;
  let sum = 0;
  for (let s = first; s + 1 < starts.length; s += stride) {
    const length = starts[s + 1]! - starts[s]!;
    const field = (f: number): Float64Array => new Float64Array(memory, (f * rows + starts[s]!) * 8, length);
    const [high, low, close, volume] = [field(0), field(1), field(2), field(3)];
    const last = length - 1;
    sum += sma(close, 30)[last]! + ema(close, 30)[last]! + rsi(close, 14)[last]!;
    sum += macd(close).histogram[last]! + atr(high, low, close, 14)[last]!;
    sum += bollinger(close).upper[last]! + adx(high, low, close, 14)[last]!;
    sum += obv(close, volume)[last]! + stochastic(high, low, close).d[last]!;
    sum += cci(high, low, close, 14)[last]! + williamsR(high, low, close, 14)[last]!;
    sum += roc(close, 10)[last]! + mfi(high, low, close, volume, 14)[last]!;
  }
  return sum;
}

function timeOneCore(bars: Shared, rounds: number): number[] {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now();
    pass(bars, 0, 1);
    if (round > 0) times.push((performance.now() - startedAt) / 1000);
  }
  return times;
}

async function timeWorkers(bars: Shared, options: { rounds: number; threads: number }): Promise<number[]> {
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
  const { bars, first, stride } = workerData as { bars: Shared; first: number; stride: number };
  pass(bars, first, stride);
  parentPort?.on('message', () => parentPort?.postMessage(pass(bars, first, stride)));
  parentPort?.postMessage('ready');
}

/** TA-Lib and pandas on the very same numbers, handed over as one raw file. */
function timeReference(bars: Shared, options: { rounds: number; python: string }): Record<string, number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-bench-'));
  try {
    const raw = join(folder, 'bars.f64');
    const index = join(folder, 'starts.json');
    writeFileSync(raw, new Uint8Array(bars.memory));
    writeFileSync(index, JSON.stringify(bars.starts));
    const script = join('bench', 'indicators_reference.py');
    const run = spawnSync(options.python, [script, raw, index, String(options.rounds)], { encoding: 'utf8' });
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
  const { source, symbols } = await loadBenchBars();
  const bars = share(symbols);
  const rows = bars.starts.at(-1)!;
  const seconds: Record<string, number[]> = {
    'ours, one core': timeOneCore(bars, rounds),
    'ours, two threads': await timeWorkers(bars, { rounds, threads: 2 }),
    ...timeReference(bars, { rounds, python: values.python }),
  };
  const base = median(seconds['TA-Lib, one core'] ?? []);
  const machine = `${String(cpus().length)} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`;
  console.log(`${source}: ${String(symbols.size)} symbols, ${String(rows)} rows through 13 indicators`);
  console.log(`${machine}, medians of ${String(rounds)}`);
  const lines = Object.entries(seconds).map(([name, times]) => {
    const middle = median(times);
    return { name, seconds: middle, rowsPerSecond: rows / middle, ratioToTalib: base / middle };
  });
  for (const { name, seconds: middle, rowsPerSecond, ratioToTalib } of lines) {
    const time = `${(middle * 1000).toFixed(1).padStart(8)} ms`;
    const rate = `${(rowsPerSecond / 1e6).toFixed(2).padStart(8)} million rows/s`;
    console.log(`${name.padEnd(20)} ${time} ${rate}  ${ratioToTalib.toFixed(2)} x TA-Lib`);
  }
  if (values.json) {
    writeFileSync(values.json, `${JSON.stringify({ source, machine, rows, rounds, lines }, null, 2)}\n`);
  }
}

if (isMainThread) await main();
else runWorker();
