import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adoptFileAtStart } from '../../src/activities/planning/config-source.ts';
import { createApi } from '../../src/api/app.ts';
import { API_TIMES } from '../../src/api/deps.ts';
import { readDueSession } from '../../src/api/due-session.ts';
import { newApiToken } from '../../src/contracts/api-tokens.ts';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';
import { findApiToken, insertApiToken } from '../../src/db/queries/api-tokens.ts';
import { saveScheduleState } from '../../src/db/queries/schedule-state.ts';
import { readCalendarDates } from '../../src/db/queries/sessions.ts';
import { temporalAway } from '../support/api-away.ts';
import { type House, openHouse } from '../support/house.ts';
import {
  DECILES,
  FIRST,
  FLAG,
  LAST,
  putResults,
  putRun,
  putUniverse,
  VERSION,
  WITHOUT_BACKTEST,
} from '../support/page-rows.ts';

let house: House;
let api: ReturnType<typeof createApi>;
let cookie: string;
let sessions: string[];
const temporal = temporalAway();

beforeAll(async () => {
  const { client } = temporal;
  house = await openHouse({ client });
  await adoptFileAtStart(house.database.sql, { path: house.deps.configPath, named: true });
  ({ sessions } = await putResults(house.owner.sql));
  api = createApi({
    sql: house.api.sql,
    findToken: (tokenId) => findApiToken(house.api.sql, tokenId),
    times: API_TIMES,
    pipelineSql: house.database.sql,
    client,
    log: () => undefined,
    configPath: house.deps.configPath,
    limits: { tokenPerMinute: 1_000, anonymousPerMinute: 100 },
  });
  const { tokenId, secretHash, text } = newApiToken();
  await insertApiToken(house.api.sql, { tokenId, name: 'Ann', role: 'viewer', secretHash, createdBy: 'Ann' });
  const answer = await api.request('/login', {
    method: 'POST',
    headers: { origin: 'http://localhost', accept: 'text/html' },
    body: new URLSearchParams({ token: text, next: '/' }),
  });
  cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
});
afterAll(async () => {
  await house.close();
  await temporal.close();
});

/** Status of a page, and what it says, without markup and with single blanks. */
async function page(path: string): Promise<{ status: number; html: string; text: string }> {
  const answer = await api.request(path, { headers: { cookie, accept: 'text/html' } });
  const html = await answer.text();
  const text = html.replaceAll(/<script.*?<\/script>|<[^>]+>/gs, ' ').replaceAll(/\s+/g, ' ');
  return { status: answer.status, html, text };
}

describe('the results of a session', () => {
  it.each(['signals', 'backtest', 'drift'])('%s: of the one that is asked for, however old', async (name) => {
    for (const session of [FIRST, '2017-09-06', LAST]) {
      const { status, html } = await page(`/${name}?session=${session}&universe=tiny`);
      expect([status, /<h1>.*?<\/h1>/.exec(html)?.[0]]).toEqual([
        200,
        expect.stringContaining(` of ${session}<`),
      ]);
    }
  });

  it.each(['signals', 'backtest', 'drift', 'symbols/AAPL'])(
    '%s: says that there are none, and leads to those that there are',
    async (name) => {
      const { status, html, text } = await page(`/${name}?session=2017-07-04&universe=tiny`);
      expect([status, text]).toEqual([404, expect.stringContaining(' of 2017-07-04 ')]);
      for (const near of [LAST, '2017-07-05', '2017-07-03'])
        expect(html).toContain(`href="/${name}?session=${near}&amp;universe=tiny"`);
      expect(text).not.toContain(`of ${LAST}`);
    },
  );

  it('says so of a night whose backtest failed', async () => {
    const { status, text } = await page(`/backtest?session=${WITHOUT_BACKTEST}&universe=tiny`);
    expect([status, text]).toEqual([404, expect.stringContaining(`No backtest of ${WITHOUT_BACKTEST}`)]);
  });

  it('is reached from the newest one session by session, and left for the newest', async () => {
    let path = '/drift?universe=tiny&kind=anchored';
    const seen: string[] = [];
    for (let step = 0; step < 3; step += 1) {
      const { html } = await page(path);
      seen.push(/Drift of ([\d-]+)</.exec(html)?.[1] ?? '');
      path = /href="([^"]+)" aria-label="earlier: /.exec(html)?.[1]?.replaceAll('&amp;', '&') ?? '';
      expect(path).toContain('kind=anchored');
    }
    expect(seen).toEqual(sessions.toReversed().slice(0, 3));
    const { html } = await page(`/signals?session=${FIRST}&universe=tiny`);
    expect(html).toContain('aria-label="later: 2017-05-02"');
    expect(html).toMatch(new RegExp(`href="/signals\\?session=${LAST}[^"]+">\\s*newest`));
    // The list holds those around the one that is shown.
    expect(html).toMatch(/<option value="2017-05-01" selected[^>]*>/);
    expect(html.match(/<option value="20/g)).toHaveLength(31);
  });

  it.each(['signals', 'backtest', 'drift', 'history', 'data', 'models'])(
    '%s: is of no other universe than the one asked for',
    async (name) => {
      const { status, text } = await page(`/${name}?universe=nasdaq`);
      expect([status, text]).toEqual([404, expect.stringContaining('“nasdaq”')]);
    },
  );

  it('is asked for by a date, and of a model version that there is', async () => {
    expect((await page('/signals?session=tomorrow')).status).toBe(400);
    expect((await page('/models?version=none')).status).toBe(404);
    expect((await page(`/models?version=${VERSION}`)).status).toBe(200);
  });
});

describe('a retraining flag', () => {
  const drift = async (session: string) => (await page(`/drift?session=${session}&universe=tiny`)).text;
  const due = `Retraining may be due: flag of ${FLAG.raised}`;

  it('is told from its session on while alarms go on, and then that it is over', async () => {
    expect(await drift('2018-01-19')).not.toContain('etraining');
    expect(await drift(FLAG.raised)).toContain(due);
    const later = await drift(FLAG.goesOn);
    expect(later).toContain(due);
    expect(later).toContain('Every monitoring since then has found alarms');
    for (const session of [FLAG.over, LAST]) {
      const text = await drift(session);
      expect(text).not.toContain(due);
      expect(text).toContain(`of ${FLAG.raised}, is over: the monitoring of ${FLAG.over} found no alarm`);
    }
  });
});

describe('the session whose data should be here', () => {
  const at = async (time: string) => await readDueSession(house.api.sql, Date.parse(time));

  it('is the newest that is over and settled while no schedule runs', async () => {
    // The exchange closes at 21:00 UTC; two hours later its bars count as there.
    expect(await at('2018-02-07T22:30:00Z')).toBe('2018-02-06');
    expect(await at('2018-02-07T23:30:00Z')).toBe('2018-02-07');
    expect(await at('2018-02-11T12:00:00Z')).toBe('2018-02-09');
  });

  it('is that of the last nightly run which had the time for ingestion while the schedule is on', async () => {
    const { sql } = house.database;
    const state = { scheduleId: SCHEDULE_IDS.nightly, note: null, specHash: null, by: 'Ann' };
    await saveScheduleState(sql, { ...state, paused: false });
    // 22:45 in New York, and half an hour for ingestion.
    expect(await at('2018-02-07T23:30:00Z')).toBe('2018-02-06');
    expect(await at('2018-02-08T03:50:00Z')).toBe('2018-02-06');
    expect(await at('2018-02-08T04:30:00Z')).toBe('2018-02-07');
    await saveScheduleState(sql, { ...state, paused: true });
    expect(await at('2018-02-07T23:30:00Z')).toBe('2018-02-07');
  });

  it('is what each universe for itself is compared with', async () => {
    const { sql } = house.owner;
    const due = (await readDueSession(house.api.sql)) ?? '';
    const held = (
      await readCalendarDates(sql, { from: `${Number(due.slice(0, 4)) - 1}-11-01`, through: due })
    ).slice(-9);
    await putUniverse(sql, { universe: 'tiny', members: ['AAPL', 'MSFT'], sessions: held });
    await putUniverse(sql, { universe: 'lagging', members: ['OLD'], sessions: held.slice(0, -5) });
    const fresh = await page('/data?universe=tiny');
    expect(fresh.text).not.toContain('should be here by now, the last');
    expect(fresh.text).toContain('Have its bar 2 of 2');
    const old = await page('/data?universe=lagging');
    expect(old.text).toContain(
      `The newest bar of lagging is of ${held.at(-6)}: 5 later sessions should be here by now, the last of ${due}.`,
    );
    expect(old.text).toContain('5 behind');
    expect(old.text).not.toContain('fresh');
    const [tonight, settings] = await Promise.all([page('/'), page('/settings')]);
    expect(tonight.text).not.toContain('nothing here is about today');
    // Nobody answers for Temporal here.
    expect(settings.text).toContain('Temporal does not answer, so their times are not known now');
  });
});

describe('the numbers', () => {
  it('of the model in use: since when, metrics, calibration and what the models look at', async () => {
    const { html, text } = await page('/models?universe=tiny');
    expect(text).toContain(`In use: ${VERSION}, from session 2018-02-05 on`);
    expect(text).toContain('0.5217 [0.4900, 0.5500]');
    // The mean over both models: one has no share of it.
    expect(text).toMatch(/ret1 20\.6 % .*vol21 30\.0 %|vol21 30\.0 % .*ret1 20\.6 %/);
    expect(html).toContain('Calibration: realised share against predicted probability in 2 groups');
    expect(html.match(/class="dot"/g)).toHaveLength(2);
    expect(text).toContain('0.6000 0.5500 0.400 to 0.650');
  });

  it('of a backtest: deciles, months, sectors, and equity below its chart', async () => {
    const { html, text } = await page('/backtest?universe=tiny');
    const rowsOf = (caption: string): string[] => {
      const [table = ''] = new RegExp(`<caption>${caption}.*?</table>`, 's').exec(html) ?? [];
      return [...table.matchAll(/<th scope="row"[^>]*>(.*?)<\/th><td class="num">(.*?)<\/td>/gs)].map(
        ([, name = '', value = '']) => `${name} ${value}`,
      );
    };
    expect(rowsOf('Mean return less the median')).toEqual(['2 +1.25 %', '1 −0.40 %']);
    expect(DECILES).toHaveLength(2);
    expect(rowsOf('Net return by month')).toEqual(['2018-01 +2.10 %', '2018-02 −3.45 %']);
    expect(rowsOf('Net return by sector')).toEqual(['Energy +0.77 %', 'Technology −1.20 %']);
    expect(text).toContain('One choice in four may be chance');
    expect(text).toContain('Equity after costs, newest session first: the last 63 of 80 sessions');
    expect(html).toContain(`${LAST}</span></th><td class="num">1.0790</td><td class="num">1.1580</td>`);
    expect(html).toContain(`href="/api/v1/backtests/${LAST}/equity?universe=tiny&amp;format=csv"`);
    expect((await page(`/api/v1/backtests/${LAST}/equity?universe=tiny&format=csv`)).status).toBe(200);
  });

  it('of history: eight months, the earlier ones and back', async () => {
    const newest = await page('/history?universe=tiny');
    const monthsIn = (html: string) => [...html.matchAll(/<h2>(\w+ \d{4})<\/h2>/g)].map(([, name]) => name);
    expect(monthsIn(newest.html)).toHaveLength(8);
    expect(monthsIn(newest.html)).toEqual(expect.arrayContaining(['February 2018', 'July 2017']));
    expect(newest.html).toContain(`aria-label="night of ${WITHOUT_BACKTEST} partial"`);
    expect(newest.html).not.toMatch(/later\s*<svg/);
    const linkTo = (html: string, to: string) =>
      new RegExp(`href="(/history\\?universe=tiny&amp;to=${to})"`)
        .exec(html)?.[1]
        ?.replaceAll('&amp;', '&') ?? '';
    const earlier = await page(linkTo(newest.html, '2017-06'));
    expect(monthsIn(earlier.html)).toEqual(['June 2017', 'May 2017']);
    expect(earlier.html).not.toMatch(/<\/svg>\s*earlier/);
    const back = await page(linkTo(earlier.html, '2017-08'));
    expect(monthsIn(back.html).slice(0, 1)).toEqual(['August 2017']);
  });
});

describe('signals', () => {
  it('that are looked for are found by symbol, sector and reason; the others are there, hidden', async () => {
    const rowsOf = async (find: string) => {
      const { html } = await page(`/signals?universe=tiny&find=${encodeURIComponent(find)}`);
      expect(html.match(/<tr data-find=/g)).toHaveLength(3);
      return [...html.matchAll(/<tr data-find="([^"]+)"(?! hidden)/g)].map(
        ([, text = '']) => text.split(' ')[0],
      );
    };
    expect(await rowsOf('aapl')).toEqual(['aapl']);
    expect(await rowsOf('TECHNO')).toEqual(['aapl', 'msft']);
    expect(await rowsOf('rank 3')).toEqual(['xom']);
    // What the table says in other words is not looked in, with and without a script.
    expect(await rowsOf('0.5')).toEqual([]);
  });

  it('of a session that left none are said to be gone', async () => {
    await putRun(house.owner.sql, { task: 'overnightScan', session: '2017-03-01', universe: 'lagging' });
    const { status, text } = await page('/signals?universe=lagging');
    expect([status, text]).toEqual([200, expect.stringContaining('None of them is kept')]);
  });
});
