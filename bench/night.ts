/**
 * The whole night against a plain Python script that does the same fits, stack, SHAP and scan without Temporal.
 *
 * `node bench/run.mjs night [--universe sp500] [--rounds 5] [--json FILE]`. Every round runs the real command on an
 * empty data folder, then the script on the dataset that night made, with an empty fold cache of its own. Both must
 * arrive at the same fitted stack before a time is printed. CPU seconds are those of the model processes. With
 * `--json` each round is kept as it ends, and a later start of the same commit goes on from there.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { projectRoot, venvPython } from '../scripts/lib/paths.mjs';
import { z } from 'zod';
import { effectiveConfig, parseConfigFile } from '../src/contracts/schemas/config.ts';
import { MODELS } from '../src/contracts/wire/names.ts';
import { runReportSchema, type RunReport } from '../src/contracts/schemas/report.ts';

const SAMPLE_MS = 250;
const CLOCK_TICKS_PER_SECOND = 100;
const PAGE_KIB = 4;
const GOAL_CPU_RATIO = 1.1;

const manifestSchema = z.object({ parquetHash: z.string(), blocks: z.array(z.unknown()) });

const usageSchema = z.object({ wallSeconds: z.number(), cpuSeconds: z.number(), peakMiB: z.number() });
const roundSchema = z.object({
  night: usageSchema,
  script: usageSchema,
  taskSeconds: z.record(z.string(), z.number()),
});
const fileSchema = z.object({
  commit: z.string(),
  universe: z.string(),
  cores: z.number(),
  rounds: z.array(roundSchema),
});

type Round = z.infer<typeof roundSchema>;
type Usage = { cpuSeconds: number; peakMiB: number };
type NightRound = Usage & { wallSeconds: number; report: RunReport; metaSlope: number; datasetHash: string };
type ScriptRound = Usage & { wallSeconds: number; metaSlope: number };

const { values } = parseArgs({
  options: {
    universe: { type: 'string', default: 'sp500' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

/** pid → parent, its own CPU ticks (a reaped child was counted while it lived), resident pages; Linux only. */
function processTable(): Map<number, { parent: number; ticks: number; pages: number; command: string }> {
  const table = new Map<number, { parent: number; ticks: number; pages: number; command: string }>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const ticks = (fields[11] ?? 0) + (fields[12] ?? 0);
      table.set(Number(entry), { parent: fields[1] ?? 0, ticks, pages: fields[21] ?? 0, command });
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return table;
}

/** Watches the tree below a process: CPU of the model worker's processes, peak memory of all together. */
function watch(root: number): { stop: () => Usage } {
  const ticksOf = new Map<number, number>();
  let peakPages = 0;
  const sample = () => {
    const table = processTable();
    const belongs = (pid: number): boolean => {
      for (let current = pid; current > 1; current = table.get(current)?.parent ?? 0)
        if (current === root) return true;
      return false;
    };
    const isModel = (pid: number): boolean => {
      for (let current = pid; current > 1 && current !== root; current = table.get(current)?.parent ?? 0) {
        if (table.get(current)?.command.includes('nightshift_ml.worker') === true) return true;
      }
      return false;
    };
    let pages = 0;
    for (const [pid, entry] of table) {
      if (!belongs(pid)) continue;
      pages += entry.pages;
      if (isModel(pid)) ticksOf.set(pid, Math.max(ticksOf.get(pid) ?? 0, entry.ticks));
    }
    peakPages = Math.max(peakPages, pages);
  };
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      const ticks = [...ticksOf.values()].reduce((sum, value) => sum + value, 0);
      return { cpuSeconds: ticks / CLOCK_TICKS_PER_SECOND, peakMiB: (peakPages * PAGE_KIB) / 1024 };
    },
  };
}

async function runNight(dataDir: string): Promise<NightRound> {
  const reportPath = join(dataDir, 'report.json');
  mkdirSync(dataDir, { recursive: true });
  const startedAt = performance.now();
  const args = [
    'bin/nightshift.mjs',
    'nightly',
    '--universe',
    values.universe,
    '--data-dir',
    dataDir,
    '--json',
    reportPath,
  ];
  const child = spawn(process.execPath, args, { cwd: projectRoot, stdio: ['ignore', 'ignore', 'inherit'] });
  const watched = watch(child.pid ?? 0);
  const code = await new Promise<number>((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
  const usage = watched.stop();
  if (code !== 0) throw new Error(`the night ended with exit code ${code}`);
  const report = runReportSchema.parse(JSON.parse(readFileSync(reportPath, 'utf8')));
  const training = report.tasks.find(({ task }) => task === 'training')?.result;
  const { datasetHash, metaSlope } = training ?? {};
  if (typeof datasetHash !== 'string' || typeof metaSlope !== 'number') {
    throw new Error('the training result names no dataset and no slope');
  }
  return { ...usage, wallSeconds: (performance.now() - startedAt) / 1000, report, metaSlope, datasetHash };
}

/** The fits of that night, from the same configuration. */
function planOf(datasetHash: string, blocks: number): Record<string, unknown> {
  const file = parseConfigFile(
    JSON.parse(readFileSync(join(projectRoot, 'config', 'scheduler_config.json'), 'utf8')),
  );
  const { seed, threads, device, parameters, meta } = effectiveConfig(file, values.universe).model;
  const common = { datasetHash, seed, threads };
  const jobs = MODELS.map((model) => ({ ...common, model, parameters: parameters[model], device }));
  return {
    datasetHash,
    threads,
    folds: jobs.flatMap((job) => Array.from({ length: blocks }, (_, blockIndex) => ({ ...job, blockIndex }))),
    finals: jobs,
    meta: { ...common, parameters: { ridgeC: meta.ridgeC } },
    explain: { ...common, device },
  };
}

/** As the worker sets them for its processes: another number of threads adds up in another order. */
function threadSettings(threads: number): Record<string, string> {
  const one = ['OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS'];
  return {
    ...Object.fromEntries(one.map((name) => [name, '1'])),
    OMP_NUM_THREADS: String(threads),
    OMP_WAIT_POLICY: 'PASSIVE',
    POLARS_MAX_THREADS: String(threads),
    PYTHONHASHSEED: '0',
  };
}

/** The dataset of the night in a store without folds, so that the script fits everything anew. */
function runScript(dataDir: string, plan: Record<string, unknown>, objects: string[]): ScriptRound {
  const store = mkdtempSync(join(tmpdir(), 'nightshift-bench-store-'));
  try {
    for (const hash of objects) {
      const path = join('objects', hash.slice(0, 2), hash);
      cpSync(join(dataDir, 'artifacts', path), join(store, path));
    }
    const planPath = join(store, 'plan.json');
    writeFileSync(planPath, JSON.stringify({ ...plan, artifactUrl: pathToFileURL(store).href }));
    const script = join(projectRoot, 'bench', 'night_reference.py');
    const run = spawnSync(venvPython(), [script, planPath], {
      encoding: 'utf8',
      env: { ...process.env, ...threadSettings(Number(plan['threads'])) },
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 1 << 26,
    });
    if (run.status !== 0) throw new Error(`the script ended with ${run.status}`);
    return JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '') as ScriptRound;
  } finally {
    rmSync(store, { recursive: true, force: true });
  }
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

async function runRound(): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'nightshift-bench-'));
  try {
    const dataDir = join(folder, 'data');
    const { report, metaSlope, datasetHash, ...night } = await runNight(dataDir);
    const manifestPath = join(dataDir, 'artifacts', 'objects', datasetHash.slice(0, 2), datasetHash);
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(manifestPath, 'utf8')));
    const plan = planOf(datasetHash, manifest.blocks.length);
    const script = runScript(dataDir, plan, [datasetHash, manifest.parquetHash]);
    if (script.metaSlope !== metaSlope) {
      throw new Error(
        `night and script disagree on the fitted stack: slope ${metaSlope} and ${script.metaSlope}`,
      );
    }
    const seconds = report.tasks.map(({ task, durationMs }) => [task, (durationMs ?? 0) / 1000]);
    return roundSchema.parse({ night, script, taskSeconds: Object.fromEntries(seconds) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function currentCommit(): string {
  const git = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: projectRoot, encoding: 'utf8' });
  return git.status === 0 ? git.stdout.trim() : 'unknown';
}

/** Rounds of an earlier start. Throws when they are of another commit, universe or machine. */
function roundsBefore(
  path: string | undefined,
  about: { commit: string; universe: string; cores: number },
): Round[] {
  if (path === undefined || !existsSync(path)) return [];
  const { rounds, ...of } = fileSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  if (JSON.stringify(of) !== JSON.stringify(about)) {
    throw new Error(`${path} holds rounds of ${JSON.stringify(of)}: name another file`);
  }
  return rounds;
}

const about = { commit: currentCommit(), universe: values.universe, cores: cpus().length };
const rounds = roundsBefore(values.json, about);
for (const [index, { night, script }] of rounds.entries()) say(index, night, script);
while (rounds.length < Number(values.rounds)) {
  const round = await runRound();
  rounds.push(round);
  say(rounds.length - 1, round.night, round.script);
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ ...about, rounds }, null, 2));
}

function say(index: number, night: Round['night'], script: Round['script']): void {
  console.log(
    `round ${index + 1}: night ${night.wallSeconds.toFixed(1)} s (model processes ${night.cpuSeconds.toFixed(1)} CPU s, ` +
      `peak ${night.peakMiB.toFixed(0)} MiB), script ${script.wallSeconds.toFixed(1)} s (${script.cpuSeconds.toFixed(1)} CPU s)`,
  );
}

const medianOf = (pick: (round: Round) => number): number => median(rounds.map(pick));
console.log(`\nuniverse ${values.universe}, ${about.cores} cores, medians of ${rounds.length}`);
for (const task of Object.keys(rounds[0]?.taskSeconds ?? {})) {
  console.log(`  ${task.padEnd(16)} ${medianOf(({ taskSeconds }) => taskSeconds[task] ?? 0).toFixed(1)} s`);
}
const ratio = medianOf(({ night, script }) => night.cpuSeconds / script.cpuSeconds);
console.log(`  night wall       ${medianOf(({ night }) => night.wallSeconds).toFixed(1)} s`);
console.log(`  script wall      ${medianOf(({ script }) => script.wallSeconds).toFixed(1)} s`);
console.log(`  peak memory      ${medianOf(({ night }) => night.peakMiB).toFixed(0)} MiB`);
console.log(
  `  CPU of the models, night over script: ${ratio.toFixed(2)} (goal at most ${GOAL_CPU_RATIO.toFixed(2)})`,
);
