import type { TaskStep } from '../../contracts/activities.ts';
import type { Queryable } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { readBars, readBarSpans, readDistantBars, readSymbolsAfter } from '../../db/queries/bars.ts';
import {
  type NewQuarantine,
  openReviews,
  readOpenReviews,
  readReviewDecisions,
  type ReviewKey,
  type ReviewKind,
  settleReviews,
} from '../../db/queries/quarantine.ts';
import { priceDividends } from '../../db/queries/dividends.ts';
import { readCorporateActions } from '../../db/queries/reference.ts';
import { nightCutoff } from '../../db/queries/sessions.ts';
import { hasLaterIngestion } from '../../db/queries/symbol-outcomes.ts';
import { epochDayOf, priceBasisKey, sessionDateOf } from '../../domain/bars.ts';
import { doubtDividends } from '../../domain/validation/dividends.ts';
import { findLongGaps, gapWords } from '../../domain/validation/gaps.ts';
import { judgeStored, splitSubject } from '../revisions/as-known.ts';
import { groupBy } from './group.ts';
import type { IngestionDeps } from './deps.ts';
import type { IngestionNight } from './night.ts';

const DAYS_BEFORE_SPLIT = 60;

type ReviewInput = { deps: IngestionDeps; night: IngestionNight; step: TaskStep; members: readonly string[] };
/** With the splits and dividends that the night knows of the members. */
type ActionsInput = ReviewInput & { actions: Awaited<ReturnType<typeof readCorporateActions>> };
type Reviews = { open: NewQuarantine[]; settle: ReviewKey[] };

/**
 * Puts before a person what the stored data of the members raises: splits that nothing confirms, dividends that do
 * not fit prices or splits, tickers after a long gap. What data that came since answers is closed again. Nothing is
 * written where nothing changed.
 */
export async function reviewMembers(input: ReviewInput): Promise<void> {
  const { deps, step, members } = input;
  const { universe, sessionDate } = step;
  const gaps = await findGapReviews(deps.db.sql, input);
  const through = { symbols: members, throughSession: sessionDate };
  const known = { ...input, actions: await readCorporateActions(deps.db.sql, through) };
  const splits = await findSplitReviews(deps.db.sql, known);
  const dividends = await findDividendReviews(deps.db.sql, known, splits.unconfirmed);
  const open = [...gaps.open, ...splits.open, ...dividends.open];
  // A night that runs again knows less than the later ones that asked.
  const isReplay = await hasLaterIngestion(deps.db.sql, { universe, sessionDate });
  const answered = isReplay ? [] : [...splits.settle, ...dividends.settle];
  if (open.length + gaps.settle.length + answered.length === 0) return;
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await settleReviews(tx, { keys: gaps.settle, why: 'the bars that were missing came later' });
    await settleReviews(tx, { keys: answered, why: 'what is stored by now no longer raises it' });
    await openReviews(tx, { rows: open, taskRunId: step.taskRunId });
  });
}

/** Counts tell which members lack so many sessions at all; only their bars are looked through. */
async function findGapReviews(sql: Queryable, { night, step, members }: ReviewInput): Promise<Reviews> {
  const { maxGapSessions } = night.config.data;
  const through = { symbols: members, throughSession: step.sessionDate };
  const spans = await readBarSpans(sql, through);
  const holed = spans.flatMap(({ symbol, first, last, bars }) => {
    const sessions = night.sessionIndexOf(epochDayOf(last)) - night.sessionIndexOf(epochDayOf(first)) + 1;
    return sessions - bars > maxGapSessions ? [symbol] : [];
  });
  const distant =
    holed.length === 0
      ? []
      : await readDistantBars(sql, { ...through, symbols: holed, moreThanDays: maxGapSessions });
  const found = distant.flatMap(({ symbol, previous, sessionDate }) =>
    findLongGaps({
      epochDays: Int32Array.of(epochDayOf(sessionDate)),
      previousDay: epochDayOf(previous),
      sessionIndexOf: night.sessionIndexOf,
      maxGapSessions,
    }).map((gap) =>
      reviewOf(night, {
        symbol,
        sessionDate,
        subject: 'gap',
        codes: ['longGap'],
        reason: gapWords(symbol, gap),
      }),
    ),
  );
  return await compare(sql, { kind: 'gap', symbols: members, step, found });
}

type SplitReviews = Reviews & { unconfirmed: ReviewKey[] };

/** A night that was run again after later ones leaves what those found. */
async function findSplitReviews(
  sql: Queryable,
  { night, step, actions }: ActionsInput,
): Promise<SplitReviews> {
  const { sessionDate, universeVersion } = step;
  const split = [...actions].flatMap(([symbol, { splits }]) => (splits.length > 0 ? [symbol] : []));
  if (split.length === 0) return { open: [], settle: [], unconfirmed: [] };
  const symbols = await withoutLaterBars(sql, split, step);
  const dates = symbols.flatMap((symbol) => actions.get(symbol)?.splits.map(({ exDate }) => exDate) ?? []);
  const first = dates.sort()[0] ?? sessionDate;
  const cutoff = await nightCutoff(sql, sessionDate);
  const stored = await readBars(sql, {
    symbols,
    // Far enough for the sessions around a split, and for a longer pause before it.
    fromSession: sessionDateOf(epochDayOf(first) - DAYS_BEFORE_SPLIT),
    throughSession: sessionDate,
    cutoff,
    universeVersion,
  });
  const found = symbols.flatMap((symbol) => {
    const bars = stored.symbols.get(symbol);
    if (bars === undefined) return [];
    const { sources } = stored;
    const splits = actions.get(symbol)?.splits ?? [];
    return judgeStored({ stored: bars, sources, splits, rules: night.config.data }).flatMap((verdict) => {
      if (verdict.status !== 'unconfirmed') return [];
      const { exDate } = verdict.split;
      const subject = splitSubject(verdict.split);
      const codes = verdict.code === null ? [] : [verdict.code];
      return [reviewOf(night, { symbol, sessionDate: exDate, subject, codes, reason: verdict.reason })];
    });
  });
  const decided = found.length === 0 ? [] : await readReviewDecisions(sql, { symbols, cutoff });
  const released = new Set(decided.filter(({ status }) => status === 'released').map(keyOf));
  const unconfirmed = found.filter((review) => !released.has(keyOf(review)));
  return { ...(await compare(sql, { kind: 'split', symbols, step, found })), unconfirmed };
}

async function withoutLaterBars(
  sql: Queryable,
  symbols: readonly string[],
  { sessionDate }: TaskStep,
): Promise<string[]> {
  const later = new Set(await readSymbolsAfter(sql, { symbols, session: sessionDate }));
  return symbols.filter((symbol) => !later.has(symbol));
}

/** Splits that nothing confirms say nothing about dividends. */
async function findDividendReviews(
  sql: Queryable,
  { night, step, actions }: ActionsInput,
  unconfirmed: readonly ReviewKey[],
): Promise<Reviews> {
  const { sessionDate, universeVersion } = step;
  const paying = [...actions].flatMap(([symbol, { dividends }]) => (dividends.length > 0 ? [symbol] : []));
  if (paying.length === 0) return { open: [], settle: [] };
  const symbols = await withoutLaterBars(sql, paying, step);
  const dividends = symbols.flatMap((symbol) => actions.get(symbol)?.dividends ?? []);
  const through = { throughSession: sessionDate, universeVersion };
  const priced = groupBy(await priceDividends(sql, { dividends, ...through }), (one) => one.symbol);
  const isUnconfirmed = new Set(unconfirmed.map((key) => `${key.symbol} ${key.sessionDate}`));
  const found = [...priced].flatMap(([symbol, group]) => {
    const reported = actions.get(symbol)?.splits ?? [];
    const splits = reported.filter(({ exDate }) => !isUnconfirmed.has(`${symbol} ${exDate}`));
    return doubtDividends({ dividends: group, splits, throughSession: sessionDate }).map(
      ({ code, ...doubt }) => reviewOf(night, { ...doubt, codes: [code] }),
    );
  });
  return await compare(sql, { kind: 'dividend', symbols, step, found });
}

function reviewOf(
  night: IngestionNight,
  given: Pick<NewQuarantine, 'symbol' | 'sessionDate' | 'subject' | 'codes' | 'reason'>,
): NewQuarantine {
  return {
    ...given,
    provider: night.coverage.provider,
    priceBasis: priceBasisKey(night.coverage.basis),
    raw: [],
    availableAt: new Date(night.availableAtMs(epochDayOf(given.sessionDate))).toISOString(),
  };
}

/** What was found is to be open; what is open and was not found is answered. */
async function compare(
  sql: Queryable,
  input: { kind: ReviewKind; symbols: readonly string[]; step: TaskStep; found: NewQuarantine[] },
): Promise<Reviews> {
  const { kind, symbols, step, found } = input;
  const isFound = new Set(found.map(keyOf));
  const known = await readOpenReviews(sql, { symbols, kind });
  const isOpen = new Set(known.map(keyOf));
  return {
    open: found.filter((review) => !isOpen.has(keyOf(review))),
    settle: known.filter((key) => key.sessionDate <= step.sessionDate && !isFound.has(keyOf(key))),
  };
}

function keyOf({ symbol, sessionDate, subject }: ReviewKey): string {
  return [symbol, sessionDate, subject].join('/');
}
