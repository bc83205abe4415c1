import { Context } from '@temporalio/activity';
import { ApplicationFailure, defineSearchAttributeKey } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import type { QuarantineDecisionInput } from '../../src/contracts/decisions.ts';
import { quarantineWorkflowId, sessionOverrideWorkflowId } from '../../src/contracts/wire/names.ts';
import { decideQuarantine, DecisionRefusedError, overrideSession } from '../../src/temporal/decisions.ts';
import { createFakes } from '../support/fakes.ts';
import { useRig } from '../support/rig.ts';

const rigs = useRig({ decisions: true });
/** What makes the activity try again; at once, as the pause between two tries is not what is tested. */
const away = (): ApplicationFailure =>
  ApplicationFailure.create({
    message: 'connection refused',
    type: 'DatabaseUnavailable',
    nextRetryDelay: 1,
  });
const ROW: QuarantineDecisionInput = {
  symbol: 'AAPL',
  sessionDate: '2018-02-07',
  provider: 'archive',
  decision: 'release',
  row: null,
  by: 'Ann',
  why: 'checked by phone',
};

describe('a decision about a quarantined row', () => {
  it('runs once on the market-data queue and says in the Web UI what came of it', async () => {
    const queues: string[] = [];
    const { activities } = createFakes();
    rigs.current.use({
      ...activities,
      decideQuarantine: async (input) => {
        queues.push(Context.current().info.taskQueue);
        expect(input).toEqual({ ...ROW, workflowId: quarantineWorkflowId(ROW) });
        return activities.decideQuarantine(input);
      },
    });
    const answers = await Promise.all([1, 2].map(() => decideQuarantine(rigs.current.client, ROW)));
    expect(answers[0]).toMatchObject({ status: 'released', decidedBy: 'Ann', why: 'checked by phone' });
    expect(answers[1]).toEqual(answers[0]);
    expect(new Set(queues)).toEqual(new Set(['market-data']));
    const run = await rigs.current.client.workflow.getHandle(quarantineWorkflowId(ROW)).describe();
    expect(run.status.name).toBe('COMPLETED');
    expect(run.taskQueue).toBe('market-data');
    expect(run.memo).toMatchObject({
      state: 'succeeded',
      summary: expect.stringContaining('released by Ann') as string,
    });
    expect(await run.staticSummary()).toBe('release AAPL 2018-02-07 (archive), by Ann');
    const attribute = (name: string) =>
      run.typedSearchAttributes.get(defineSearchAttributeKey(name, 'KEYWORD'));
    expect(attribute('SessionDate')).toBe('2018-02-07');
    expect(attribute('Task')).toBe('quarantineDecision');
    expect(attribute('Trigger')).toBe('manual');
  });

  it('waits for a database that is away', async () => {
    let tries = 0;
    const { activities } = createFakes();
    rigs.current.use({
      ...activities,
      decideQuarantine: async (input) => {
        tries += 1;
        if (tries < 3) throw away();
        return activities.decideQuarantine(input);
      },
    });
    expect(await decideQuarantine(rigs.current.client, ROW)).toMatchObject({ status: 'released' });
    expect(tries).toBe(3);
  });

  it.each(['AlreadyDecided', 'InvalidInput'])('refused as %s fails at once with the words', async (type) => {
    let tries = 0;
    rigs.current.use({
      ...createFakes().activities,
      decideQuarantine: async () => {
        tries += 1;
        throw ApplicationFailure.nonRetryable('AAPL 2018-02-07 archive: no', type);
      },
    });
    const refused: unknown = await decideQuarantine(rigs.current.client, ROW).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(DecisionRefusedError);
    expect(refused).toMatchObject({ type, message: 'AAPL 2018-02-07 archive: no' });
    expect(tries).toBe(1);
    const run = await rigs.current.client.workflow.getHandle(quarantineWorkflowId(ROW)).describe();
    expect(run.status.name).toBe('FAILED');
    expect(run.memo).toMatchObject({ state: 'failed' });
  });

  it('that is cancelled while nobody can carry it out ends as cancelled', async () => {
    let started: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    rigs.current.use({
      ...createFakes().activities,
      decideQuarantine: async () => {
        started();
        throw ApplicationFailure.retryable('connection refused', 'DatabaseUnavailable');
      },
    });
    const answer = decideQuarantine(rigs.current.client, ROW).catch((error: unknown) => error);
    await running;
    const handle = rigs.current.client.workflow.getHandle(quarantineWorkflowId(ROW));
    await handle.cancel();
    expect(await answer).not.toBeInstanceOf(DecisionRefusedError);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
});

describe('a change of the calendar', () => {
  const CHANGE = {
    sessionDate: '2018-12-05',
    change: 'closed',
    open: null,
    close: null,
    by: 'Ann',
    why: 'day of mourning',
  } as const;

  it('runs under an id of its date and says what it did', async () => {
    rigs.current.use(createFakes().activities);
    const result = await overrideSession(rigs.current.client, CHANGE);
    expect(result).toMatchObject({ sessionDate: '2018-12-05', state: 'closed', decidedBy: 'Ann' });
    const run = await rigs.current.client.workflow.getHandle(sessionOverrideWorkflowId(CHANGE)).describe();
    expect(run.type).toBe('sessionOverride');
    expect(run.memo).toMatchObject({
      state: 'succeeded',
      summary: expect.stringContaining('closed by Ann') as string,
    });
  });
});
