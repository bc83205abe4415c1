import { describe, expect, it } from 'vitest';
import { recordedEvents } from '../../tests/support/recorded-events.ts';
import { failureChain, storedChain } from './failure-words.ts';
import { closingChain } from './run-live.ts';

describe('failures in words', () => {
  it('go from what failed to what it was because of', () => {
    const chain = failureChain({
      message: 'Child Workflow execution failed',
      childWorkflowExecutionFailureInfo: { workflowType: { name: 'training' } },
      cause: {
        message: 'Activity task failed',
        activityFailureInfo: { activityType: { name: 'fitFold' }, retryState: 4 },
        cause: {
          message: 'the file is gone',
          applicationFailureInfo: { type: 'ArtifactMissing' },
          cause: { message: 'ENOENT', applicationFailureInfo: { type: 'Error', nonRetryable: true } },
        },
      },
    });
    expect(chain).toEqual([
      'training failed',
      'fold fit failed: it was tried as often as it may',
      'ArtifactMissing: the file is gone',
      'Error: ENOENT (trying again would not help)',
    ]);
    expect(failureChain(null)).toEqual([]);
  });

  it('say in words what ran out, and end somewhere', () => {
    expect(failureChain({ message: 'activity timeout', timeoutFailureInfo: { timeoutType: 4 } })).toEqual([
      'its worker fell silent',
    ]);
    expect(failureChain({ message: 'x', canceledFailureInfo: {} })).toEqual(['it was cancelled']);
    let deep: NonNullable<Parameters<typeof failureChain>[0]> = { message: 'level 0' };
    for (let level = 1; level < 50; level += 1) deep = { message: `level ${level}`, cause: deep };
    expect(failureChain(deep)).toHaveLength(8);
  });

  it('of rows say the class and the step', () => {
    const failure = { type: 'FitFailed', message: 'no rows', attempt: 2, nonRetryable: false };
    expect(storedChain({ ...failure, activity: 'fitFold' })).toEqual([
      'fold fit failed',
      'FitFailed: no rows',
    ]);
    expect(storedChain({ ...failure, activity: null })).toEqual(['FitFailed: no rows']);
  });

  it('of a closed run say once what its last step and its end both say', () => {
    const newestFirst = recordedEvents('partial-backtest-2').toReversed().slice(0, 20);
    expect(closingChain(newestFirst, 'runBacktest')).toEqual([
      'walk-forward failed: it was tried as often as it may',
      'Flaky: once',
    ]);
    expect(closingChain(recordedEvents('cancelled-backtest').toReversed(), null)).toEqual([
      'it was asked to stop',
    ]);
    expect(closingChain([], null)).toEqual([]);
  });
});
