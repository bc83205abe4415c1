import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import {
  checkUniverses,
  ConfigError,
  configHash,
  effectiveConfig,
  knownUniverses,
  parseConfigFile,
  parseEffectiveConfig,
} from './config.ts';
import { parseDayOfWeek } from './day-of-week.ts';

const committed = (): Record<string, unknown> => {
  const parsed: unknown = JSON.parse(readFileSync('config/scheduler_config.json', 'utf8'));
  return parsed as Record<string, unknown>;
};

/** The committed file with its block replaced. */
const withBlock = (nightshift: unknown): Record<string, unknown> => ({ ...committed(), nightshift });

/** The problems a document raises for a universe, or none. */
function problemsOf(document: unknown, universe = 'sample'): string[] {
  try {
    effectiveConfig(parseConfigFile(document), universe);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The document's own example: one task, nothing of ours (seed 001, `scheduler_config.json Structure`). */
const EXAMPLE = {
  version: '1.0',
  global_settings: {
    timezone: 'America/New_York',
    max_concurrent_jobs: 1,
    job_defaults: { coalesce: true, max_instances: 1, misfire_grace_time: 300 },
  },
  scheduled_tasks: [
    {
      task_id: 1,
      name: 'Master Market Data Ingestion',
      function_name: 'run_ingestion',
      endpoint: '/scheduler/run_ingestion',
      enabled: true,
      schedule: { type: 'cron', hour: 22, minute: 45, day_of_week: 'mon-sun' },
      timeout_minutes: 30,
      retry_on_failure: true,
      max_retries: 3,
    },
  ],
};

describe('what data must look like', () => {
  it('has defaults, also for configurations stored before there were any', () => {
    const config = effectiveConfig(parseConfigFile(committed()));
    const first = { maxGapSessions: 20, splitTolerance: 0.2, secondSourceRatio: 1.5 };
    expect(config.data).toEqual({ ...first, delistedAfterSessions: 20 });
    const { data: _data, ...older } = config;
    expect(parseEffectiveConfig(older)).toEqual(config);
    expect(parseEffectiveConfig({ ...older, data: first })).toEqual(config);
  });

  it('is set key by key, and a wrong key or value is named with its path', () => {
    const file = parseConfigFile(withBlock({ data: { maxGapSessions: 60 } }));
    expect(effectiveConfig(file).data).toEqual({
      maxGapSessions: 60,
      splitTolerance: 0.2,
      secondSourceRatio: 1.5,
      delistedAfterSessions: 20,
    });
    expect(problemsOf(withBlock({ data: { maxGap: 1 } })).join()).toContain('nightshift.data');
    expect(problemsOf(withBlock({ data: { maxGapSessions: 0 } })).join()).toContain(
      'nightshift.data.maxGapSessions',
    );
    expect(problemsOf(withBlock({ data: { delistedAfterSessions: 0 } })).join()).toContain(
      'nightshift.data.delistedAfterSessions',
    );
    expect(problemsOf(withBlock({ data: { splitTolerance: 0 } })).join()).toContain(
      'nightshift.data.splitTolerance',
    );
    expect(problemsOf(withBlock({ data: { secondSourceRatio: 0.5 } })).join()).toContain(
      'nightshift.data.secondSourceRatio',
    );
  });
});

describe('the configuration file', () => {
  it('loads the committed file without a warning, for every universe', () => {
    const file = parseConfigFile(committed());
    expect(file.warnings).toEqual([]);
    for (const universe of knownUniverses(file)) {
      const config = effectiveConfig(file, universe);
      expect(config.universe).toBe(universe);
      expect(parseEffectiveConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    }
  });

  it('has the documents’ defaults', () => {
    const config = effectiveConfig(parseConfigFile(committed()));
    expect(config.universe).toBe('sample');
    expect(config.maxConcurrentJobs).toBe(1);
    expect(config.misfireGraceTimeMs).toBe(300_000);
    const table = Object.values(config.tasks).map((task) => [
      task.taskId,
      `${task.hour}:${task.minute}`,
      task.timeoutMs / 60_000,
      task.maxAttempts,
      task.review,
    ]);
    expect(table).toEqual([
      [1, '22:45', 30, 4, false],
      [2, '23:0', 120, 1, true],
      [3, '23:30', 60, 3, false],
      [4, '0:0', 90, 1, true],
      [5, '0:30', 45, 3, false],
      [6, '2:0', 30, 1, true],
    ]);
    expect(config.tasks.weeklyMaintenance.daysOfWeek).toEqual([6]);
    expect(config.tasks.driftMonitoring.dependsOn).toEqual(['training', 'backtest']);
  });

  it('loads an original file without our block; what it does not list is disabled', () => {
    const file = parseConfigFile(EXAMPLE);
    const config = effectiveConfig(file);
    expect(config.tasks.ingestion.enabled).toBe(true);
    expect(config.tasks.training.enabled).toBe(false);
    expect(file.warnings).toHaveLength(5);
  });

  it('warns of unknown keys outside our block and names the nearest known one', () => {
    const document = { ...committed(), global_setings: {}, _comment: 'ours' };
    expect(parseConfigFile(document).warnings).toEqual([
      'global_setings: unknown key, ignored; did you mean "global_settings"?',
    ]);
  });

  it('takes what our block says before the preset of a universe, and its own part before both', () => {
    const trees = (nightshift: object, universe: string): number => {
      const config = effectiveConfig(parseConfigFile(withBlock(nightshift)), universe);
      return Number(config.model.parameters.lightgbm['trees']);
    };
    const block = { model: { parameters: { lightgbm: { trees: 33 } } } };
    const own = { universes: { sample: { model: { parameters: { lightgbm: { trees: 44 } } } } } };
    expect([trees({}, 'sp500'), trees({}, 'sample'), trees({}, 'tiny')]).toEqual([150, 75, 10]);
    expect([trees(block, 'sp500'), trees(block, 'sample'), trees(block, 'tiny')]).toEqual([33, 33, 33]);
    expect([trees({ ...block, ...own }, 'sample'), trees({ ...block, ...own }, 'tiny')]).toEqual([44, 33]);
  });

  it('refuses unknown keys inside our block with their path, at every depth and in every universe', () => {
    expect(problemsOf(withBlock({ modle: {} }))).toEqual([
      'nightshift.modle: unknown key; did you mean "model"?',
    ]);
    expect(problemsOf(withBlock({ model: { parameters: { lightgbm: { tree: 5 } } } }))).toEqual([
      'nightshift.model.parameters.lightgbm.tree: unknown key; did you mean "trees"?',
    ]);
    expect(problemsOf(withBlock({ universes: { tiny: { signal: { quantil: 0.2 } } } }), 'sp500')).toEqual([
      'nightshift.universes.tiny.signal.quantil: unknown key; did you mean "quantile"?',
    ]);
    expect(problemsOf(withBlock({ review: { perTask: { training: 60, trainin: 5 } } }))).toEqual([
      'nightshift.review.perTask.trainin: unknown key; did you mean "training"?',
    ]);
  });

  it('checks every universe, and names the block a problem is in', () => {
    const problems = (block: unknown): string[] => {
      try {
        checkUniverses(parseConfigFile(withBlock(block)));
        return [];
      } catch (error) {
        return error instanceof ConfigError ? error.problems : [String(error)];
      }
    };
    expect(problems({ universes: { sp500: { model: { blocks: 0 } } } })).toEqual([
      expect.stringMatching(/^nightshift\.universes\.sp500\.model\.blocks: /),
    ]);
    // A general value is one problem, however many universes have it.
    expect(problems({ model: { threads: 0 }, universes: { tiny: { drift: { bins: 1 } } } })).toEqual([
      expect.stringMatching(/^nightshift\.model\.threads: /),
      expect.stringMatching(/^nightshift\.universes\.tiny\.drift\.bins: /),
    ]);
    expect(problems({ universes: { tiny: { dependencies: { training: ['training'] } } } })).toEqual([
      'nightshift.universes.tiny.dependencies: a circle among training, overnightScan, driftMonitoring',
    ]);
    expect(problems({ providers: { chain: ['archive', 'nope'] } })).toEqual([
      'nightshift.providers.chain[1]: "nope" is no provider; known: archive',
    ]);
  });

  it('says what has no effect, and which block no bundled universe reads', () => {
    const file = parseConfigFile({
      ...withBlock({ universes: { sp50: { minFreeDiskGib: 1 } } }),
      global_settings: { job_defaults: { coalesce: false } },
    });
    expect(file.warnings).toEqual([
      expect.stringContaining('job_defaults.coalesce: false has no effect'),
      expect.stringMatching(/^nightshift\.universes\.sp50: .*did you mean "sp500"/),
    ]);
  });

  it('gives all problems at once, each with its path', () => {
    const problems = problemsOf(
      withBlock({ model: { blocks: 0, threads: 'two' }, watchdog: { cutoff: '25:00' } }),
    );
    expect(problems).toHaveLength(3);
    expect(problems.join('\n')).toContain('nightshift.model.blocks: ');
    expect(problems.join('\n')).toMatch(/nightshift\.watchdog\.cutoff: must be a time like 06:00/);
  });

  it('refuses a retry policy that the server would refuse', () => {
    expect(problemsOf(withBlock({ taskRetry: { initialIntervalSeconds: 900 } }))[0]).toMatch(
      /nightshift\.taskRetry\.maximumIntervalSeconds: must not be smaller/,
    );
    expect(problemsOf(withBlock({ taskRetry: { backoffCoefficient: 0.5 } }))[0]).toMatch(
      /backoffCoefficient/,
    );
  });

  it('refuses circles and mixed needs', () => {
    expect(problemsOf(withBlock({ dependencies: { ingestion: ['backtest'] } }))[0]).toMatch(
      /a circle among ingestion/,
    );
    expect(problemsOf(withBlock({ dependencies: { training: ['weeklyMaintenance'] } }))[0]).toMatch(
      /dependencies\.training: weeklyMaintenance/,
    );
  });

  const withTask = (change: Record<string, unknown>): unknown => ({
    ...EXAMPLE,
    scheduled_tasks: [{ ...EXAMPLE.scheduled_tasks[0], ...change }],
  });

  it.each([
    [
      { schedule: { hour: '*/2', minute: 0 } },
      /scheduled_tasks\[0\]\.schedule\.hour: "\*\/2" is an expression/,
    ],
    [{ schedule: { hour: 24 } }, /schedule\.hour: must be a whole number from 0 to 23/],
    [{ schedule: { hour: 1, minute: 2.5 } }, /schedule\.minute: must be a whole number/],
    [{ schedule: { type: 'interval', hour: 1 } }, /schedule\.type: only "cron" is known/],
    [{ schedule: { hour: 1, day: 5 } }, /schedule\.day: not supported/],
    [{ schedule: { hour: 1, day_of_week: 'fri-mon' } }, /day_of_week: "fri-mon" runs backwards/],
    [{ function_name: 'run_backtest_generator' }, /run_backtest_generator is task 4/],
    [{ function_name: 'run_ingestio' }, /did you mean "run_ingestion"/],
    [{ task_id: 7 }, /task_id/],
    [{ max_retries: -1 }, /max_retries/],
    [{ timeout_minutes: 0 }, /timeout_minutes/],
  ])('refuses a task with %j', (change, expected) => {
    expect(problemsOf(withTask(change)).join('\n')).toMatch(expected);
  });

  it('refuses the same task twice and an unknown time zone', () => {
    const twice = { ...EXAMPLE, scheduled_tasks: [...EXAMPLE.scheduled_tasks, ...EXAMPLE.scheduled_tasks] };
    expect(problemsOf(twice).join()).toMatch(/task_id: 1 appears twice/);
    const zone = { ...EXAMPLE, global_settings: { ...EXAMPLE.global_settings, timezone: 'New York' } };
    expect(problemsOf(zone).join()).toMatch(/timezone: is not a time zone/);
  });

  it('makes a task without retries wait for a person', () => {
    const off = effectiveConfig(parseConfigFile(withTask({ retry_on_failure: false, max_retries: 3 })));
    expect([off.tasks.ingestion.maxAttempts, off.tasks.ingestion.review]).toEqual([1, true]);
    const none = effectiveConfig(parseConfigFile(withTask({ retry_on_failure: true, max_retries: 0 })));
    expect([none.tasks.ingestion.maxAttempts, none.tasks.ingestion.review]).toEqual([1, true]);
  });

  it('lets a person beat the defaults and a preset, and a universe of the file its general block', () => {
    const file = parseConfigFile(
      withBlock({ model: { blocks: 4, seed: 7 }, universes: { tiny: { model: { seed: 9 } } } }),
    );
    const tiny = effectiveConfig(file, 'tiny');
    expect([tiny.model.blocks, tiny.model.seed, tiny.historySessions]).toEqual([4, 9, 300]);
    const sp500 = effectiveConfig(file, 'sp500');
    expect([sp500.model.blocks, sp500.model.seed, sp500.historySessions]).toEqual([4, 7, null]);
    const sample = effectiveConfig(file, 'sample');
    expect(sample.model.parameters.lightgbm).toMatchObject({ trees: 75, minRowsPerLeaf: 200, leaves: 31 });
  });

  it('hashes content, not key order, and every change', () => {
    const one = effectiveConfig(parseConfigFile(withBlock({ signal: { quantile: 0.1, minEdge: 0.01 } })));
    const two = effectiveConfig(parseConfigFile(withBlock({ signal: { minEdge: 0.01, quantile: 0.1 } })));
    const three = effectiveConfig(parseConfigFile(withBlock({ signal: { minEdge: 0.02, quantile: 0.1 } })));
    expect(configHash(one)).toBe(configHash(two));
    expect(configHash(one)).not.toBe(configHash(three));
    expect(configHash(one)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('day_of_week', () => {
  it.each([
    ['mon-sun', [0, 1, 2, 3, 4, 5, 6]],
    ['*', [0, 1, 2, 3, 4, 5, 6]],
    [undefined, [0, 1, 2, 3, 4, 5, 6]],
    ['sun', [6]],
    ['MON-Fri', [0, 1, 2, 3, 4]],
    ['sat, sun', [5, 6]],
    ['0-4', [0, 1, 2, 3, 4]],
    [6, [6]],
    ['*/2', [0, 2, 4, 6]],
    ['fri,mon', [0, 4]],
  ])('reads %j', (text, expected) => {
    expect(parseDayOfWeek(text)).toEqual(expected);
  });

  it.each(['fri-mon', '7', 'monday', '', 'mon--fri', '*/0'])('refuses %j', (text) => {
    expect(() => parseDayOfWeek(text)).toThrow(RangeError);
  });
});
