import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  beginnings,
  type History,
  plant,
  readHistory,
  replay,
  type ReplayedNight,
} from '../../../tests/support/drift-replay.ts';

const SESSIONS_A_MONTH = 21;

/** Real features of the bundled universe `sample`; bench/drift-replay.ts replays all of the last 2.5 years. */
describe('the monitor over the bundled history', () => {
  let history: History;

  beforeAll(async () => {
    history = await readHistory({ universe: 'sample', root: pathToFileURL(`${process.cwd()}/`) });
  }, 120_000);

  const nightsOf = (of: History, first: string, count: number): ReplayedNight[] => {
    const from = of.sessions.indexOf(first);
    return [...replay(of, { from, to: from + count - 1, retrainSessions: 21 })];
  };

  it('every session of the stormiest months, August to December 2015: at most one alarm a month', () => {
    const nights = nightsOf(history, '2015-08-03', 5 * SESSIONS_A_MONTH);
    const begun = beginnings(nights).map(({ date, alarms }) => `${date} ${alarms.join(' ')}`);
    const summary = {
      nights: nights.length,
      inAlarm: nights.filter(({ alarms }) => alarms.length > 0).length,
      flags: nights.filter(({ flag }) => flag).map(({ date }) => date),
      nightsWithRawPsiAbove025: nights.filter(({ rawAbove }) => rawAbove > 0).length,
    };
    expect(begun.length, JSON.stringify({ ...summary, begun })).toBeLessThanOrEqual(5);
    // The crash of 24 August is no ordinary month, and raw PSI would have alarmed on every night of the five.
    expect(summary.flags.length).toBeGreaterThan(0);
    expect(summary.nightsWithRawPsiAbove025).toBe(nights.length);
    const unknown = nights.at(-1)?.judged.filter(({ status }) => status === 'not_enough_data') ?? [];
    // What looks back a year has too short an anchored baseline of its own, and says so.
    expect(unknown.map(({ name, baselineKind }) => `${name}/${baselineKind}`)).toEqual([
      'mom252to21/anchored',
      'highGap252/anchored',
      'lowGap252/anchored',
    ]);
    expect(unknown[0]?.words).toMatch(/^not enough data: \d+ of 20 past windows in \d+ sessions of baseline/);
  }, 300_000);

  /** Sessions from the fault on, the first included, until the features all alarm against both baselines. */
  const sessionsUntilAlarm = (features: readonly string[], change: (value: number) => number): number => {
    const from = history.sessions.indexOf('2017-06-01');
    const nights = replay(plant(history, { from, features, change }), {
      from: from - 1,
      to: from + 20,
      retrainSessions: 100,
    });
    for (const { session, alarms } of nights) {
      if (session < from) expect(alarms).toEqual([]);
      const wanted = features.flatMap((name) => [`${name}/rolling`, `${name}/anchored`]);
      if (wanted.every((alarm) => alarms.includes(alarm))) return session - from + 1;
    }
    return Number.POSITIVE_INFINITY;
  };

  it.each([
    {
      name: 'a return in percent, not as a fraction',
      features: ['ret1'],
      change: (x: number) => 100 * x,
      within: 16,
    },
    {
      name: 'a return of the wrong sign, halved and shifted',
      features: ['ret1'],
      change: (x: number) => 0.02 - x / 2,
      within: 16,
    },
    { name: 'a feature that is missing', features: ['rsi14'], change: () => Number.NaN, within: 16 },
  ])(
    '$name alarms within $within sessions',
    ({ features, change, within }) => {
      expect(sessionsUntilAlarm(features, change)).toBeLessThanOrEqual(within);
    },
    120_000,
  );
});
