import { describe, expect, it } from 'vitest';
import type { ApiLog } from '../../api/deps.ts';
import type { NightRow } from '../../db/queries/nights.ts';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import type { ScheduleSummary } from '../../temporal/schedules.ts';
import type { Chrome } from '../deps.ts';
import { LiveBoard, type LiveMessage } from '../live.tsx';
import { silentWorkers, type TonightView } from '../tonight.ts';
import { Board } from './board.tsx';
import { drawn } from './drawn.ts';
import { lookOf } from './states.ts';

const NOW = '2018-02-08T05:00:00.000Z';
const CHROME: Chrome = {
  user: null,
  csrfToken: 'the-token',
  mayAct: true,
  theme: 'auto',
  flash: null,
  here: '/',
  waiting: 0,
  timezone: 'America/New_York',
  nowMs: Date.parse(NOW),
};
const EMPTY: TonightView = {
  night: null,
  otherOpen: [],
  runs: [],
  attempts: [],
  progress: [],
  waiting: [],
  manual: [],
  requests: [],
  acts: [],
  schedules: [],
  silent: [],
  data: { newestBar: null, lastSession: null, sessionsBehind: 0 },
};
const WAITING: TaskRunRow = {
  taskRunId: 'training-1',
  nightWorkflowId: 'nightly/2018-02-07/tiny',
  nightRunId: 'night-1',
  starterWorkflowId: 'nightly/2018-02-07/tiny',
  starterRunId: 'night-1',
  task: 'training',
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'v',
  state: 'awaiting_review',
  reason: null,
  trigger: 'schedule',
  forced: false,
  requestedBy: null,
  maxAttempts: 1,
  timeoutMs: 7_200_000,
  dependsOn: ['ingestion'],
  notBefore: null,
  configHash: 'c',
  currentWorkflowId: null,
  currentRunId: null,
  fenceAttempt: 1,
  attempts: 1,
  createdAt: NOW,
  startedAt: NOW,
  completedAt: null,
  result: null,
  failure: {
    type: 'NumericFailure',
    message: 'folds <script>alert(1)</script> differ',
    activity: 'registerTraining',
    attempt: 1,
    nonRetryable: true,
  },
  reviewDeadline: '2018-02-08T07:30:00.000Z',
};
const NIGHT: NightRow = {
  workflowId: 'nightly/2018-02-07/tiny',
  runId: 'night-1',
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'v',
  trigger: 'watchdog',
  configHash: 'c',
  requestedBy: null,
  nominalInstant: null,
  plan: null,
  state: 'running',
  reason: null,
  startedAt: NOW,
  completedAt: null,
  report: null,
};
const draw = async (change: Partial<TonightView>, chrome: Partial<Chrome> = {}): Promise<string> =>
  await drawn(<Board view={{ ...EMPTY, ...change }} chrome={{ ...CHROME, ...chrome }} />);

describe('the board', () => {
  it('says what is away, and since when', async () => {
    const html = await draw({
      schedules: null,
      silent: [{ process: 'ml', since: '2018-02-08T04:50:00.000Z' }],
    });
    expect(html).toContain('Temporal does not answer');
    expect(html).toContain('No ml runs');
    expect(html).toContain('10 min ago');
    expect(html).toContain('data-ago="2018-02-08T04:50:00.000Z"');
    expect(await draw({})).not.toMatch(/does not answer|was last heard/);
    expect(await draw({ silent: [{ process: 'worker', since: null }] })).toContain(
      'No worker was ever heard here',
    );
  });

  it('puts a review above all else, and says it first, whatever runs beside it', async () => {
    const html = await draw({ night: NIGHT, waiting: [WAITING], schedules: null });
    expect(html.indexOf('waits for your decision')).toBeLessThan(html.indexOf('Temporal does not answer'));
    expect(html).toContain(
      'data-announce="training of 2018-02-07 waits for your decision, night of 2018-02-07: running',
    );
    // A run by hand is of no night.
    expect(await draw({ waiting: [WAITING] })).toContain(
      'data-announce="training of 2018-02-07 waits for your decision, no night has run"',
    );
  });

  it('says who wanted a night: a watchdog is no hand', async () => {
    expect(await draw({ night: NIGHT })).toContain('by the watchdog');
    expect(await draw({ night: { ...NIGHT, requestedBy: 'Ann' } })).toContain('by Ann');
    const others = await draw({ otherOpen: [NIGHT], manual: [{ ...WAITING, task: 'weeklyMaintenance' }] });
    expect(others).toContain('the watchdog</td>');
    expect(others).toContain('the schedule</td>');
  });

  it('says how long it is until then also where no script counts', async () => {
    const schedule: Omit<ScheduleSummary, 'paused' | 'nextTimes'> = {
      scheduleId: 'nightly',
      note: null,
      recentRuns: [],
    };
    const next = await draw({
      waiting: [WAITING],
      schedules: [{ ...schedule, paused: false, nextTimes: ['2018-02-09T01:00:00.000Z'] }],
    });
    expect(next.match(/>in (3 h|20 h)</g)).toEqual(['>in 3 h<', '>in 20 h<']);
    expect(next).not.toContain('soon');
    const idle = await draw({ schedules: [{ ...schedule, paused: false, nextTimes: [] }] });
    expect(idle).toContain('none: its plan names no further time');
    expect(idle).not.toContain('paused');
  });

  it('draws what waits for its turn unlike what runs', () => {
    expect(lookOf('waiting').tone).not.toBe(lookOf('running').tone);
    expect(lookOf('waiting').tone).not.toBe(lookOf('awaiting_review').tone);
  });

  it('marks data that is older than the last session', async () => {
    const data = { newestBar: '2018-02-06', lastSession: '2018-02-07', sessionsBehind: 1 };
    expect((await draw({ data })).replaceAll(/\s+/g, ' ')).toContain(
      'held 1 session since then, the last on 2018-02-07',
    );
  });

  it('asks an operator for a decision with the way back, and shows a viewer no form', async () => {
    const html = await draw({ waiting: [WAITING] });
    expect(html).toContain('Training failed and waits for your decision');
    expect(html).toContain('2018-02-08 02:30');
    expect(html).toContain('value="the-token"');
    for (const decision of ['retry', 'skip', 'abort']) expect(html).toContain(`value="${decision}"`);
    const viewed = await draw({ waiting: [WAITING] }, { mayAct: false });
    expect(viewed).not.toContain('<form');
    expect(viewed).toContain('an operator has to decide');
  });

  it('lets no words of a failure become part of the page', async () => {
    const html = await draw({ waiting: [WAITING] });
    expect(html).not.toContain('<script>');
    expect(html).toContain('folds &lt;script&gt;');
  });
});

describe('who follows the board', () => {
  const settings = { timezone: 'America/New_York', universe: 'tiny', universes: ['tiny'] };
  const boardOf = (view: () => TonightView, log: ApiLog = () => undefined): LiveBoard =>
    new LiveBoard({ view: async () => view(), settings: () => Promise.resolve(settings) }, log);

  it('takes 16 places with one token, of 64 in all', async () => {
    const board = boardOf(() => EMPTY);
    const join = (tokenId: string) =>
      board.join({ tokenId, mayAct: false, csrfToken: 'a', send: () => Promise.resolve() });
    const leaves: (() => void)[] = [];
    for (const tokenId of ['a', 'b', 'c', 'd']) {
      for (let place = 0; place < 16; place += 1) leaves.push((await join(tokenId)) ?? expect.fail('full'));
      expect(await join(tokenId)).toBeNull();
    }
    expect(await join('e')).toBeNull();
    leaves.shift()?.();
    expect(await join('b')).toBeNull();
    leaves.push((await join('a')) ?? expect.fail('full'));
    for (const leave of leaves) leave();
  });

  it('is not held up by a browser that does not read, which gets the newest one later', async () => {
    let view = EMPTY;
    const board = boardOf(() => view);
    const [slow, quick]: [string[], string[]] = [[], []];
    let read = (): void => undefined;
    const reading = new Promise<void>((resolve) => {
      read = resolve;
    });
    const leaves = await Promise.all([
      board.join({
        tokenId: 'a',
        mayAct: true,
        csrfToken: 'a',
        send: ({ data }) => reading.then(() => void slow.push(data)),
      }),
      board.join({
        tokenId: 'a',
        mayAct: true,
        csrfToken: 'b',
        send: ({ data }) => Promise.resolve(void quick.push(data)),
      }),
    ]);
    for (const behind of [1, 2]) {
      view = { ...EMPTY, data: { newestBar: '2018-02-06', lastSession: 'L', sessionsBehind: behind } };
      await expect.poll(() => quick.at(-1), { timeout: 5_000 }).toContain(`held ${behind}`);
    }
    expect(slow).toEqual([]);
    read();
    await expect.poll(() => slow.at(-1)).toBe(quick.at(-1));
    expect(slow).toHaveLength(2);
    for (const leave of leaves) leave?.();
  });

  it('is told that it is old where a look at it does not end', async () => {
    const silent = {
      view: () => new Promise<never>(() => undefined),
      settings: () => Promise.resolve(settings),
    };
    const board = new LiveBoard(silent, () => undefined, 50);
    const heard: LiveMessage[] = [];
    const send = (message: LiveMessage) => Promise.resolve(void heard.push(message));
    const leave = await board.join({ tokenId: 'a', mayAct: true, csrfToken: 'a', send });
    expect(heard).toEqual([{ event: 'stale', data: 'Something behind the API is silent' }]);
    leave?.();
  });

  it('is told once that the board cannot be read, in words, and gets it again when it can', async () => {
    let isAway = false;
    const lines: string[] = [];
    const board = boardOf(
      () => {
        if (isAway) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
        return EMPTY;
      },
      (_level, message) => void lines.push(message),
    );
    const heard: LiveMessage[] = [];
    const send = (message: LiveMessage) => Promise.resolve(void heard.push(message));
    const leave = await board.join({ tokenId: 'a', mayAct: true, csrfToken: 'a', send });
    isAway = true;
    await expect.poll(() => heard.at(-1), { timeout: 5_000 }).toMatchObject({ event: 'stale' });
    const late: LiveMessage[] = [];
    const lateLeave = await board.join({
      tokenId: 'b',
      mayAct: true,
      csrfToken: 'b',
      send: (message) => Promise.resolve(void late.push(message)),
    });
    expect(late).toEqual([{ event: 'stale', data: 'Postgres does not answer' }]);
    isAway = false;
    await expect.poll(() => heard.at(-1), { timeout: 5_000 }).toMatchObject({ event: 'board' });
    expect(heard.filter(({ event }) => event === 'stale')).toHaveLength(1);
    expect(lines).toEqual(['the board cannot be drawn']);
    leave?.();
    lateLeave?.();
  });
});

describe('workers that are missed', () => {
  const nowMs = Date.parse(NOW);
  const missed = (ages: Record<string, number>, isExpected: boolean): string[] =>
    silentWorkers(
      Object.entries(ages).map(([process, hours]) => ({
        process,
        beatAt: new Date(nowMs - hours * 3_600_000).toISOString(),
      })),
      { isExpected, nowMs },
    ).map(({ process, since }) => `${process} ${since ?? 'never'}`);

  it('are named for a day, for as long as something needs them, and where none was ever heard', () => {
    expect(missed({ worker: 0, ml: 0 }, true)).toEqual([]);
    expect(missed({ worker: 0, ml: 1 }, false)).toEqual(['ml 2018-02-08T04:00:00.000Z']);
    expect(missed({ worker: 0, ml: 48 }, true)).toEqual(['ml 2018-02-06T05:00:00.000Z']);
    expect(missed({ worker: 0, ml: 48 }, false)).toEqual([]);
    // A model worker without a login never beats.
    expect(missed({ worker: 0 }, true)).toEqual([]);
    expect(missed({}, false)).toEqual(['worker never']);
  });
});
