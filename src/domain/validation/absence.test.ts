import { describe, expect, it } from 'vitest';
import { type AbsenceInput, type AbsenceSources, classifyAbsence } from './absence.ts';

const sources = (asked: string[], answered = asked, withBars: string[] = []): AbsenceSources => ({
  asked,
  answered,
  withBars,
});
const classify = (given: Partial<AbsenceInput>) =>
  classifyAbsence({
    symbol: 'XYZ',
    sessionDate: '2018-02-07',
    sessions: 25,
    lastBar: '2018-01-02',
    failure: null,
    sources: sources(['first', 'second']),
    delistedAfterSessions: 20,
    ...given,
  });

describe('a symbol without a bar', () => {
  it('is delisted when two sources have nothing for n sessions, not one session earlier', () => {
    expect(classify({ sessions: 20 })).toEqual({
      class: 'delisted',
      sessions: 20,
      lastBar: '2018-01-02',
      sources: sources(['first', 'second']),
      words:
        'XYZ is delisted: no bar for 20 sessions up to 2018-02-07, the last one is of 2018-01-02; ' +
        'asked: first, second; first and second agree',
    });
    expect(classify({ sessions: 19 })).toMatchObject({
      class: 'halted',
      words:
        'XYZ is halted: no bar for 19 sessions up to 2018-02-07, the last one is of 2018-01-02; asked: first, second',
    });
    expect(classify({ sessions: 1 }).words).toContain('no bar for 1 session up to');
  });

  it.each([
    [sources(['first']), 'that takes 2 sources that could have the sessions and agree'],
    [sources([]), 'that takes 2 sources that could have the sessions and agree'],
    [sources(['first', 'second'], ['first']), 'second did not answer'],
    [sources(['first', 'second'], []), 'first and second did not answer'],
    [sources(['first', 'second'], undefined, ['second']), 'second has bars in these sessions'],
    [
      sources(['first', 'second'], undefined, ['first', 'second']),
      'first and second have bars in these sessions',
    ],
    // Two agree, a third has bars: it trades.
    [sources(['first', 'second', 'third'], undefined, ['third']), 'third has bars in these sessions'],
  ])('is never delisted on %j, however long', (given, why) => {
    const absence = classify({ sources: given, sessions: 5000 });
    expect(absence.class).toBe('halted');
    expect(absence.words).toContain(`; not called delisted: ${why}`);
  });

  it('is delisted when two of three agree and the third does not answer', () => {
    expect(classify({ sources: sources(['a', 'b', 'c'], ['a', 'c']) })).toMatchObject({
      class: 'delisted',
      words: expect.stringContaining('asked: a, b, c; a and c agree') as string,
    });
  });

  it.each(['throttled', 'range', 'unknown', 'unreachable'] as const)(
    'is %s where nobody could tell, however long and whoever was asked',
    (failure) => {
      expect(classify({ failure, sessions: 5000 }).class).toBe(failure);
      expect(classify({ failure, sessions: 1, lastBar: null }).class).toBe(failure);
    },
  );

  it('says of a failure that it is no proof', () => {
    expect(classify({ failure: 'unknown' }).words).toContain('no proof that it was delisted');
    expect(classify({ failure: 'throttled' }).words).toContain('rate limited, which says nothing');
  });

  it('of which there never was one may not be listed yet', () => {
    expect(classify({ lastBar: null, sessions: 80 })).toMatchObject({
      class: 'neverSeen',
      words:
        'XYZ is not seen yet: no bar for 80 sessions up to 2018-02-07, and none before; asked: first, second; ' +
        'it may not be listed yet',
    });
  });
});
