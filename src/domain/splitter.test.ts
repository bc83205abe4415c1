import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochDayOf, sessionDateOf } from './bars.ts';
import {
  assertNoOverlap,
  blockAnchor,
  planWalkForward,
  purgedTrainRanges,
  type WalkForwardOptions,
} from './splitter.ts';

/** Every weekday from the first day of the bundled data; holidays do not matter here. */
function weekdays(count: number, from = '2013-02-08'): string[] {
  const out: string[] = [];
  for (let day = epochDayOf(from); out.length < count; day += 1) {
    if ((day + 3) % 7 < 5) out.push(sessionDateOf(day));
  }
  return out;
}

const all = weekdays(1305);
const upTo = (date: string): string[] =>
  all.slice(
    0,
    all.findIndex((session) => session > date),
  );
const plan = (sessions: string[], options: Partial<WalkForwardOptions> = {}) =>
  planWalkForward({ sessions, horizonSessions: 1, ...options });

describe('walk-forward blocks', () => {
  it('are the five newest quarters, the last one partial', () => {
    const { blocks, scoreSessionIndex, finalTrain } = plan(upTo('2018-02-07'));
    expect(blocks.map(({ anchor }) => anchor)).toEqual([
      '2017-01-01',
      '2017-04-01',
      '2017-07-01',
      '2017-10-01',
      '2018-01-01',
    ]);
    expect(blocks.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    const [first] = blocks;
    expect(all[first!.firstTestSessionIndex]).toBe('2017-01-02');
    expect(all[first!.lastTestSessionIndex]).toBe('2017-03-31');
    expect(first!.trainLastSessionIndex).toBe(first!.firstTestSessionIndex - 1 - 1 - 5);
    expect(first!.trainLastSessionIndex - first!.trainFirstSessionIndex + 1).toBe(756);
    expect(blocks[4]!.lastTestSessionIndex).toBe(scoreSessionIndex);
    expect(all[scoreSessionIndex]).toBe('2018-02-07');
    expect(finalTrain).toEqual({
      firstSessionIndex: scoreSessionIndex - 756,
      lastSessionIndex: scoreSessionIndex - 1,
    });
  });

  it('keep their boundaries from night to night until a quarter begins', () => {
    const closed = (sessions: string[]) =>
      plan(sessions).blocks.map((block) => ({ ...block, index: 0, lastTestSessionIndex: 0 }));
    const before = closed(upTo('2017-12-28'));
    expect(closed(upTo('2017-11-15'))).toEqual(before);
    // On the quarter's first session its label is not known: the block comes a night later.
    expect(closed(upTo('2018-01-01'))).toEqual(before);
    const after = closed(upTo('2018-01-02'));
    expect(after.slice(0, 4)).toEqual(before.slice(1));
    expect(after[4]?.anchor).toBe('2018-01-01');
    expect(plan(upTo('2018-01-02')).blocks[4]).toMatchObject({
      firstTestSessionIndex: upTo('2018-01-01').length - 1,
    });
  });

  it('need the minimum of sessions before them', () => {
    const sessions = upTo('2015-02-10');
    expect(plan(sessions).blocks.map(({ anchor }) => anchor)).toEqual(['2014-10-01', '2015-01-01']);
    expect(plan(upTo('2014-06-30')).blocks).toEqual([]);
    const tiny = plan(weekdays(300), { blocks: 2, minTrainSessions: 120 });
    expect(tiny.blocks.map(({ anchor }) => anchor)).toEqual(['2014-01-01', '2014-04-01']);
    expect(tiny.blocks[0]!.trainFirstSessionIndex).toBe(0);
  });

  it('can be longer or shorter than a quarter', () => {
    expect(blockAnchor('2017-12-31', 3)).toBe('2017-10-01');
    expect(blockAnchor('2017-12-31', 1)).toBe('2017-12-01');
    expect(blockAnchor('2017-05-31', 12)).toBe('2017-01-01');
    expect(plan(upTo('2018-02-07'), { blockMonths: 6 }).blocks.at(-1)?.anchor).toBe('2018-01-01');
  });

  const options = fc.record({
    count: fc.integer({ min: 60, max: 1305 }),
    horizonSessions: fc.integer({ min: 1, max: 20 }),
    blocks: fc.integer({ min: 1, max: 8 }),
    blockMonths: fc.constantFrom(1, 2, 3, 4, 6, 12),
    minTrainSessions: fc.integer({ min: 41, max: 400 }),
    trainWindowSessions: fc.integer({ min: 1, max: 900 }),
  });

  it('never let a training label meet a test session or its embargo', () => {
    fc.assert(
      fc.property(options, ({ count, ...rest }) => {
        const sessions = all.slice(0, count);
        const { blocks, embargoSessions, finalTrain } = planWalkForward({ sessions, ...rest });
        const h = rest.horizonSessions;
        for (const block of blocks) {
          const { trainFirstSessionIndex: from, trainLastSessionIndex: to } = block;
          expect(to).toBeGreaterThanOrEqual(from);
          expect(to - from + 1).toBeLessThanOrEqual(rest.trainWindowSessions);
          for (let s = from; s <= to; s += 1) {
            // The label interval [s + 1, s + h] against the embargo and the test block that follows it.
            if (s + h >= block.firstTestSessionIndex - embargoSessions) throw new Error('overlap');
          }
        }
        for (const [i, block] of blocks.entries()) {
          const next = blocks[i + 1];
          if (next) expect(block.lastTestSessionIndex).toBe(next.firstTestSessionIndex - 1);
        }
        expect(finalTrain.lastSessionIndex + h).toBe(count - 1);
      }),
    );
  });

  it('stay the same when sessions are added, but for the newest', () => {
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 40 }), ({ count, ...rest }, more) => {
        const early = planWalkForward({ sessions: all.slice(0, count), ...rest, blocks: 100 }).blocks;
        const later = planWalkForward({ sessions: all.slice(0, count + more), ...rest, blocks: 100 }).blocks;
        for (const [i, block] of early.entries()) {
          const { lastTestSessionIndex, ...fixed } = block;
          expect(later[i]).toMatchObject(fixed);
          if (i < early.length - 1) expect(later[i]?.lastTestSessionIndex).toBe(lastTestSessionIndex);
        }
      }),
    );
  });

  it('are asserted: a plan that overlaps is refused', () => {
    const good = plan(upTo('2018-02-07'));
    const [block, ...others] = good.blocks;
    const greedy = { ...block!, trainLastSessionIndex: block!.trainLastSessionIndex + 1 };
    expect(() => assertNoOverlap({ ...good, blocks: [greedy, ...others] })).toThrow(/2017-01-01/);
    const { firstSessionIndex, lastSessionIndex } = good.finalTrain;
    const late = { firstSessionIndex, lastSessionIndex: lastSessionIndex + 1 };
    expect(() => assertNoOverlap({ ...good, finalTrain: late })).toThrow(/final model/);
  });

  it('have an embargo of at least max(5, h), whoever made the plan', () => {
    const sessions = upTo('2018-02-07');
    expect(() => plan(sessions, { embargoSessions: 4 })).toThrow(/embargoSessions must be at least 5, got 4/);
    expect(() => plan(sessions, { horizonSessions: 10, embargoSessions: 9 })).toThrow(/at least 10, got 9/);
    expect(plan(sessions, { horizonSessions: 10 }).embargoSessions).toBe(10);
    expect(plan(sessions, { embargoSessions: 7 }).embargoSessions).toBe(7);
    const good = plan(sessions, { horizonSessions: 10 });
    expect(() => assertNoOverlap({ ...good, embargoSessions: 9 })).toThrow(/embargo of 9 sessions.*than 10/);
  });

  it('refuse impossible options by name', () => {
    expect(() => plan(upTo('2018-02-07'), { blockMonths: 5 })).toThrow(/blockMonths/);
    expect(() => plan(upTo('2018-02-07'), { blocks: 0 })).toThrow(/blocks/);
    expect(() => plan(upTo('2018-02-07'), { minTrainSessions: 6 })).toThrow(/minTrainSessions/);
    expect(() => plan(upTo('2018-02-07'), { horizonSessions: 21 })).toThrow(/horizonSessions/);
    expect(() => plan([all[0]!])).toThrow(/no label/);
  });
});

describe('two-sided purge', () => {
  it('keeps every session whose label meets neither the test labels nor their embargo, and no other', () => {
    const cases = fc.record({
      sessionCount: fc.integer({ min: 30, max: 200 }),
      firstTestSessionIndex: fc.integer({ min: 0, max: 199 }),
      length: fc.integer({ min: 1, max: 60 }),
      horizonSessions: fc.integer({ min: 1, max: 20 }),
      embargoSessions: fc.integer({ min: 0, max: 30 }),
    });
    fc.assert(
      fc.property(cases, ({ length, ...options }) => {
        const { sessionCount, firstTestSessionIndex, horizonSessions: h, embargoSessions } = options;
        const lastTestSessionIndex = Math.min(firstTestSessionIndex + length, sessionCount) - 1;
        if (lastTestSessionIndex < firstTestSessionIndex) return;
        const ranges = purgedTrainRanges({ ...options, lastTestSessionIndex });
        for (let s = 0; s < sessionCount; s += 1) {
          const kept = ranges.some((range) => s >= range.firstSessionIndex && s <= range.lastSessionIndex);
          const labelled = s + h < sessionCount;
          // The protected interval: the embargo, the decisions, their labels [t + 1, t + h], the embargo.
          const meets =
            s + h >= firstTestSessionIndex - embargoSessions &&
            s + 1 <= lastTestSessionIndex + h + embargoSessions;
          expect(kept).toBe(labelled && !meets);
        }
      }),
    );
  });
});
