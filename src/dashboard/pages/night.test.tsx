import { describe, expect, it } from 'vitest';
import type { AttemptRow } from '../../db/queries/attempts.ts';
import type { NightRow } from '../../db/queries/nights.ts';
import type { TaskRunRow } from '../../db/queries/task-runs.ts';
import { drawn } from '../components/drawn.ts';
import type { Chrome } from '../deps.ts';
import { NightPage } from './night.tsx';

const CHROME: Chrome = {
  user: null,
  csrfToken: '',
  mayAct: false,
  theme: 'auto',
  flash: null,
  here: '/',
  waiting: 0,
  timezone: 'America/New_York',
  nowMs: Date.parse('2018-02-08T04:10:00Z'),
};
const NIGHT: NightRow = {
  workflowId: 'nightly/2018-02-07/tiny',
  runId: 'night-1',
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'v',
  trigger: 'schedule',
  state: 'running',
  reason: null,
  requestedBy: null,
  configHash: 'c',
  nominalInstant: null,
  startedAt: '2018-02-08T03:45:00.000Z',
  completedAt: null,
  plan: null,
  report: null,
};
const RUN: TaskRunRow = {
  taskRunId: 'training-1',
  nightWorkflowId: NIGHT.workflowId,
  nightRunId: 'night-1',
  starterWorkflowId: NIGHT.workflowId,
  starterRunId: 'night-1',
  task: 'training',
  sessionDate: '2018-02-07',
  universe: 'tiny',
  universeVersion: 'v',
  state: 'running',
  reason: null,
  trigger: 'schedule',
  forced: false,
  requestedBy: null,
  maxAttempts: 1,
  timeoutMs: 7_200_000,
  dependsOn: [],
  notBefore: null,
  configHash: 'c',
  currentWorkflowId: null,
  currentRunId: null,
  fenceAttempt: 1,
  attempts: 1,
  createdAt: NIGHT.startedAt,
  startedAt: '2018-02-08T04:00:00.000Z',
  completedAt: null,
  result: null,
  failure: null,
  reviewDeadline: null,
};
const ATTEMPT: AttemptRow = {
  taskRunId: 'training-1',
  workflowId: 'training/2018-02-07/tiny',
  runId: 'attempt-1',
  attempt: 1,
  fenceAttempt: 1,
  state: 'failed',
  startedAt: '2018-02-08T04:00:00.000Z',
  completedAt: '2018-02-08T04:02:05.000Z',
  failure: null,
};
const TIMELINE = { runId: 'night-1', items: [], note: null, nextPageToken: null };

describe('the page of a night', () => {
  it('says how long a task runs, and how long one ran that waits for a decision', async () => {
    const draw = async (state: TaskRunRow['state'], attempts: AttemptRow[]): Promise<string> => {
      const view = {
        night: NIGHT,
        runs: [{ ...RUN, state }],
        attempts,
        timeline: TIMELINE,
        isFirst: true,
        webUi: null,
      };
      return await drawn(<NightPage view={view} chrome={CHROME} />);
    };
    expect(await draw('running', [])).toContain('data-since="2018-02-08T04:00:00.000Z">10 min 00 s<');
    const waiting = await draw('awaiting_review', [ATTEMPT]);
    expect(waiting).toContain('<span>2 min 05 s</span>');
    expect(waiting).not.toContain('0.0 s');
  });
});
