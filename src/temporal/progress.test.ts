import { describe, expect, it } from 'vitest';
import { recordedEvents } from '../../tests/support/recorded-events.ts';
import { readHistory } from './progress.ts';

describe('readHistory', () => {
  const events = recordedEvents('night-training');

  it('counts what was asked for and what has ended, by type, in order', () => {
    const { steps } = readHistory(events);
    expect(steps.map(({ activityType }) => activityType)).toEqual(
      expect.arrayContaining([
        'planFits',
        'fitFold',
        'fitFinal',
        'fitMeta',
        'explainModel',
        'registerTraining',
      ]),
    );
    expect(steps[0]?.activityType).toBe('planFits');
    for (const { done, total } of steps) expect(done).toBe(total);
    expect(steps.find(({ activityType }) => activityType === 'fitFinal')?.total).toBe(2);
  });

  it('counts less in the middle of the run', () => {
    const asked = events.filter((event) => event.activityTaskScheduledEventAttributes);
    const before = events.findIndex((event) => event.activityTaskCompletedEventAttributes);
    const { steps } = readHistory(events.slice(0, before));
    expect(steps.reduce((sum, { done }) => sum + done, 0)).toBe(0);
    expect(steps.reduce((sum, { total }) => sum + total, 0)).toBeLessThan(asked.length);
  });

  it('says what each fit is about', () => {
    const { subjects } = readHistory(events);
    expect([...subjects.values()]).toEqual(
      expect.arrayContaining(['lightgbm block 1', 'xgboost block 2', 'xgboost']),
    );
  });

  it('finds attempts after the first, with their cause', () => {
    expect(readHistory(events).retries).toEqual([]);
    const started = events.findIndex((event) => event.activityTaskStartedEventAttributes);
    const retried = events.map((event, index) =>
      index === started
        ? {
            ...event,
            activityTaskStartedEventAttributes: {
              ...event.activityTaskStartedEventAttributes,
              attempt: 3,
              lastFailure: { message: 'activity Heartbeat timeout' },
            },
          }
        : event,
    );
    expect(readHistory(retried).retries).toEqual([
      expect.objectContaining({
        activityType: 'planFits',
        attempt: 3,
        lastFailure: 'activity Heartbeat timeout',
      }),
    ]);
  });
});
