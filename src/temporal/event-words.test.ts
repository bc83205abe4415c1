import { describe, expect, it } from 'vitest';
import { recordedEvents } from '../../tests/support/recorded-events.ts';
import { entryOf, type OpenNames } from './event-words.ts';

type Events = ReturnType<typeof recordedEvents>;

function told(events: Events, names: OpenNames = new Map(), attempt: number | null = null) {
  return events.flatMap((event) => entryOf(event, names, attempt) ?? []);
}

const texts = (events: Events): string[] => told(events).map(({ text }) => text);

describe('a history in words', () => {
  it('of a night says what began, what failed and why, who decided what', () => {
    const words = texts(recordedEvents('review-nightlyPipeline'));
    expect(words[0]).toBe('nightlyPipeline begins');
    expect(words).toContain('waits at most 2 s: ingestion asks for a slot');
    expect(words).toContain('has a slot');
    expect(words).toContain('ingestion is done');
    expect(words).toContain('training failed: NumericFailure: folds differ (trying again would not help)');
    expect(words.filter((line) => / decides: (retry|skip|abort), /.test(line)).length).toBeGreaterThan(0);
    expect(words.at(-1)).toBe('is done');
  });

  it('of a task names its steps, each end with the name of its beginning, and leaves no name behind', () => {
    const names: OpenNames = new Map();
    const entries = told(recordedEvents('review-training'), names, 1);
    const step = 'fold fit lightgbm block 1';
    expect(entries.filter(({ text }) => text.includes(step)).map(({ text }) => text)).toEqual([
      `asks for ${step}`,
      expect.stringMatching(new RegExp(`^${step} is done, in [\\d.]+ s$`)),
    ]);
    expect(entries.slice(-2).map(({ kind, text }) => [kind, text])).toEqual([
      [
        'failure',
        'metrics and gate failed: such a failure is not tried again: NumericFailure: folds differ (trying again would not help)',
      ],
      ['failure', 'failed: NumericFailure: folds differ (trying again would not help)'],
    ]);
    expect(names.size).toBe(0);
    expect(entries.every(({ attempt, eventId, at }) => attempt === 1 && eventId !== null && at !== '')).toBe(
      true,
    );
  });

  it('goes on in the middle with the names that were open there', () => {
    const events = recordedEvents('review-training');
    const whole = told(events);
    for (let cut = 0; cut <= events.length; cut += 1) {
      const names: OpenNames = new Map();
      const before = told(events.slice(0, cut), names);
      expect([...before, ...told(events.slice(cut), new Map(names))]).toEqual(whole);
    }
  });

  it('of a retried attempt says what was before, also which attempt of a step it was', () => {
    expect(texts(recordedEvents('partial-backtest'))[0]).toBe('backtest begins again; before: Flaky: once');
    expect(texts(recordedEvents('partial-backtest-2'))).toContain(
      'attempt 8 of walk-forward begins; before: Flaky: once',
    );
  });

  it('of a cancelled night says so', () => {
    const words = texts(recordedEvents('cancelled-nightlyPipeline'));
    expect(words).toContain('is asked to stop');
    expect(words).toContain('backtest was stopped');
    expect(words.at(-1)).toBe('has stopped');
  });
});
