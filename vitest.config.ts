import { defineConfig } from 'vitest/config';

/** For tests that start servers, wait for timers and retries, or run a whole night. */
const SLOW = { testTimeout: 180_000, hookTimeout: 180_000 };
const SERVERS = { ...SLOW, globalSetup: ['tests/support/global-setup.ts'] };
/** Tests of how long something takes: nothing else may run beside them. */
const TIMED = ['tests/integration/{compute-thread,setup,setup-lock}.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.{ts,tsx}', 'tests/contract/**/*.test.ts'],
          testTimeout: 20_000,
          // They only compute; by itself vitest leaves one of two cores idle.
          maxWorkers: 2,
          // They leave nothing behind in their process: loading its modules for each file took as long as the tests.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          ...SERVERS,
          name: 'integration',
          include: ['tests/{workflow,replay,integration,browser}/**/*.test.ts'],
          exclude: TIMED,
          // They wait more than they compute; each file has its own databases, namespace and folders.
          maxWorkers: 3,
          // Loading the SDK and our own modules anew was a sixth of the time of a file.
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...SLOW,
          name: 'chaos',
          include: ['tests/chaos/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          ...SLOW,
          name: 'timed',
          include: TIMED,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
