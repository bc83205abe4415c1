import { describe, expect, it } from 'vitest';
import { AS_TRADED } from '../../src/domain/bars.ts';
import { priceDividends } from '../../src/db/queries/dividends.ts';
import { readCorporateActions } from '../../src/db/queries/reference.ts';
import type { DividendAction } from '../../src/domain/market-data.ts';
import { S1, S2, S3, S4, useLiveMarket } from './live-market.ts';
import type { Row, ScriptedProvider } from './scripted-provider.ts';

const live = useLiveMarket();
const SYMBOL = 'SF';
const question = { symbol: SYMBOL, sessionDate: S3 };
const dividend = (exDate: string, cashAmount: number): DividendAction => ({
  symbol: SYMBOL,
  exDate,
  cashAmount,
  currency: 'USD',
});
const reviews = () => live.house.sql`
  select session_date, subject, codes, status, decided_by, decision_reason from market.quarantine order by subject`;

/** Divides prices from S3 on. */
function fallBy(factor: number): void {
  for (const [session, row] of live.provider.rows.get(SYMBOL) ?? []) {
    if (session < S3) continue;
    const [open, high, low, close] = row.map((value) => value / factor);
    const moved: Row = [open ?? 0, high ?? 0, low ?? 0, close ?? 0, row[4]];
    live.provider.set(SYMBOL, session, moved);
  }
}

/** Some sources report a split on S3; the first source's dividends do not change over it. */
function reportSplit(sources: readonly ScriptedProvider[]): void {
  live.settings = { historySessions: 6 };
  for (const source of sources) {
    source.basis = AS_TRADED;
    source.splits = [{ symbol: SYMBOL, exDate: S3, newShares: 2, oldShares: 1 }];
  }
  live.provider.dividends = [dividend(S1, 0.2), dividend(S3, 0.2)];
}

describe('a reported dividend', () => {
  it('that prices deny is told in words and waits for a person, once; an ordinary one does not', async () => {
    live.provider.dividends = [dividend(S2, 0.2), dividend(S3, 15)];
    await live.night(S2);
    const words =
      `dividend 15 of SF on ${S3} is 59.2 % of the price before it (25.3506, close of ${S2}), which did not fall ` +
      `by it (25.4, open of ${S3})`;
    const result = await live.night(S3);
    expect(result).toMatchObject({
      failed: 0,
      quarantined: 0,
      reviewsOpen: 1,
      reviews: [{ symbol: SYMBOL, sessionDate: S3, subject: 'dividend 15', reason: words }],
    });
    expect(await reviews()).toMatchObject([
      { sessionDate: S3, subject: 'dividend 15', codes: ['dividendNotInPrices'], status: 'pending' },
    ]);
    const eventsOf = () => live.house.sql`
      select kind, subject, session_date, details ->> 'words' as words, handled_at is not null as handled
      from ops.events where kind like 'dividend.%'`;
    const told = [{ kind: 'dividend.unconfirmed', subject: SYMBOL, sessionDate: S3, words, handled: true }];
    expect(await eventsOf()).toEqual(told);
    const print = await live.house.fingerprint();
    expect(await live.night(S3)).toMatchObject({ rowsChanged: 0, reviewsOpen: 1 });
    expect(await live.house.fingerprint()).toEqual(print);

    live.at(S4, '15:00');
    const rejection = { subject: 'dividend 15', decision: 'reject', why: 'the exchange says 0.15' } as const;
    expect(await live.decide({ ...question, ...rejection })).toMatchObject({ status: 'rejected' });
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    expect(await reviews()).toMatchObject([{ subject: 'dividend 15', status: 'rejected', decidedBy: 'Ann' }]);
    expect(await live.house.sql`select action, subject from ops.audit`).toEqual([
      { action: 'quarantine.rejected', subject: `SF ${S3} dividend 15 first+second` },
    ]);
    // Nothing is made of dividends: no event asks for anything to be made anew.
    expect(await eventsOf()).toEqual(told);
  });

  it('that is large and that the price fell by asks nobody', async () => {
    live.provider.dividends = [dividend(S3, 12.6)];
    fallBy(2);
    await live.night(S2);
    expect(await live.night(S3)).toMatchObject({ reviewsOpen: 0 });
    expect(await reviews()).toEqual([]);
  });

  it('that looks divided by a split asks a person, until the source corrects it', async () => {
    reportSplit([live.provider, live.fallback]);
    fallBy(2);
    await live.night(S2);
    const result = await live.night(S3);
    expect(result).toMatchObject({
      reviewsOpen: 1,
      reviews: [{ sessionDate: S3, subject: 'dividend basis' }],
    });
    live.provider.dividends = [dividend(S1, 0.4), dividend(S3, 0.2)];
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    expect(await reviews()).toMatchObject([
      { subject: 'dividend basis', status: 'rejected', decidedBy: 'ingestion' },
    ]);
    // A replay of the older night leaves what the newer one found.
    const print = await live.house.fingerprint();
    await live.night(S3);
    expect(await live.house.fingerprint()).toEqual(print);
  });

  it('is what the night knew: a night that runs first after a correction has the older amount', async () => {
    live.provider.dividends = [dividend(S3, 15)];
    await live.night(S2);
    expect(await live.night(S3)).toMatchObject({ reviewsOpen: 1 });
    live.provider.dividends = [dividend(S3, 0.15)];
    expect(await live.night(S4)).toMatchObject({ reviewsOpen: 0 });
    expect(await reviews()).toMatchObject([
      {
        subject: 'dividend 15',
        status: 'rejected',
        decisionReason: 'what is stored by now no longer raises it',
      },
    ]);
    const known = await readCorporateActions(live.house.sql, { symbols: [SYMBOL], throughSession: S3 });
    const through = { throughSession: S3, universeVersion: '' };
    const dividends = known.get(SYMBOL)?.dividends ?? [];
    expect(await priceDividends(live.house.sql, { dividends, ...through })).toMatchObject([
      { cashAmount: 15, lastClose: { sessionDate: S2 }, nextOpen: { sessionDate: S3 } },
    ]);
  });

  it('beside a split that a person released is judged by it', async () => {
    reportSplit([live.provider]);
    await live.night(S3);
    live.at(S3, '29:00');
    await live.decide({
      ...question,
      subject: 'split 2:1',
      decision: 'release',
      why: 'the exchange says so',
    });
    expect(await live.night(S4)).toMatchObject({ reviews: [{ subject: 'dividend basis' }] });
  });

  it('beside a split that nothing confirms is not judged by that split', async () => {
    reportSplit([live.provider]);
    await live.night(S2);
    expect(await live.night(S3)).toMatchObject({ reviewsOpen: 1, reviews: [{ subject: 'split 2:1' }] });
  });
});
