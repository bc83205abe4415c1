import { describe, expect, it } from 'vitest';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import type { Chrome } from '../deps.ts';
import { LiveBoard } from '../live.tsx';
import type { TonightView } from '../tonight.ts';
import { Board } from './board.tsx';
import { drawn } from './drawn.ts';

const NOW = '2018-02-08T05:00:00.000Z';
const CHROME: Chrome = {
  user: null,
  csrfToken: 'the-token',
  mayAct: true,
  theme: 'auto',
  flash: null,
  here: '/',
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
  knowsWorkers: false,
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
    expect(await draw({})).not.toMatch(/does not answer|was last heard/);
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
  const boardOf = (view: () => TonightView): LiveBoard =>
    new LiveBoard(
      { view: () => Promise.resolve(view()), settings: () => Promise.resolve(settings) },
      () => undefined,
    );

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
        send: (html) => reading.then(() => void slow.push(html)),
      }),
      board.join({
        tokenId: 'a',
        mayAct: true,
        csrfToken: 'b',
        send: (html) => Promise.resolve(void quick.push(html)),
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
});
