import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  date,
  doublePrecision,
  integer,
  jsonb,
  primaryKey,
  smallint,
  text,
} from 'drizzle-orm/pg-core';
import { hashColumn, instant, market, recordedAt, symbolColumn } from './types.ts';

export const instruments = market.table('instruments', {
  symbol: symbolColumn().primaryKey(),
  name: text('name'),
  sector: text('sector'),
  industry: text('industry'),
  exchange: text('exchange'),
  currency: text('currency').notNull().default('USD'),
  /** First and last session at which the ticker meant this company; null: not known. */
  validFrom: date('valid_from', { mode: 'string' }),
  validTo: date('valid_to', { mode: 'string' }),
  provider: text('provider').notNull(),
  metadata: jsonb('metadata').notNull().default({}),
  recordedAt: recordedAt(),
});

/** Member lists by content: `version` is the hash of the list, valid from `as_of` on. */
export const universes = market.table(
  'universes',
  {
    universe: text('universe').notNull(),
    version: hashColumn('version').notNull(),
    members: text('members').array().notNull(),
    /** First session from which this list holds. */
    asOf: date('as_of', { mode: 'string' }).notNull(),
    survivorship: text('survivorship').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.universe, t.version] })],
);

/** Exchange sessions as the calendar file has them; `session_overrides` wins. */
export const sessions = market.table('sessions', {
  sessionDate: date('session_date', { mode: 'string' }).primaryKey(),
  openAt: instant('open_at').notNull(),
  closeAt: instant('close_at').notNull(),
  earlyClose: boolean('early_close').notNull().default(false),
});

export const sessionOverrides = market.table(
  'session_overrides',
  {
    sessionDate: date('session_date', { mode: 'string' }).primaryKey(),
    kind: text('kind').notNull(),
    openAt: instant('open_at'),
    closeAt: instant('close_at'),
    reason: text('reason').notNull(),
    decidedBy: text('decided_by').notNull(),
    recordedAt: recordedAt(),
    /** Taken back: the calendar file holds again. The row stays, so that the act can be repeated. */
    removedAt: instant('removed_at'),
    removedBy: text('removed_by'),
    removeReason: text('remove_reason'),
  },
  (t) => [
    check('session_overrides_kind', sql`${t.kind} in ('closed', 'early_close', 'hours')`),
    check('session_overrides_close', sql`(${t.kind} = 'closed') = (${t.closeAt} is null)`),
    check('session_overrides_open', sql`(${t.kind} = 'hours') = (${t.openAt} is not null)`),
  ],
);

/** Provenance shared by the rows of one write: who delivered them, on which basis, when. Keeps bars narrow. */
export const barSources = market.table('bar_sources', {
  sourceId: integer('source_id').primaryKey().generatedAlwaysAsIdentity(),
  provider: text('provider').notNull(),
  dataset: text('dataset').notNull(),
  /** `priceBasisKey` of the batch, e.g. `split-adjusted@2018-02-07`. */
  priceBasis: text('price_basis').notNull(),
  /** Last date whose corporate actions are in the prices; null: as traded. */
  basisDate: date('basis_date', { mode: 'string' }),
  fetchedAt: instant('fetched_at').notNull(),
  nightSession: date('night_session', { mode: 'string' }),
  taskRunId: text('task_run_id'),
  recordedAt: recordedAt(),
});

/** Bar states, stored as one small number: see `BAR_STATES` in queries/bars.ts. */
export const bars = market.table(
  'bars',
  {
    symbol: symbolColumn().notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    open: doublePrecision('open'),
    high: doublePrecision('high'),
    low: doublePrecision('low'),
    close: doublePrecision('close'),
    volume: doublePrecision('volume'),
    /** When these values could be known. */
    availableAt: instant('available_at').notNull(),
    sourceId: integer('source_id').notNull(),
    /** 0 provisional, 1 final, 2 revised. */
    state: smallint('state').notNull(),
    revision: smallint('revision').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.symbol, t.sessionDate] }),
    check('bars_state', sql`${t.state} between 0 and 2`),
  ],
);

/** What a bar said before it changed; `superseded_at` is the `available_at` of the row that replaced it. */
export const barRevisions = market.table(
  'bar_revisions',
  {
    symbol: symbolColumn().notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    revision: smallint('revision').notNull(),
    open: doublePrecision('open'),
    high: doublePrecision('high'),
    low: doublePrecision('low'),
    close: doublePrecision('close'),
    volume: doublePrecision('volume'),
    availableAt: instant('available_at').notNull(),
    sourceId: integer('source_id').notNull(),
    state: smallint('state').notNull(),
    supersededAt: instant('superseded_at').notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.symbol, t.sessionDate, t.revision] })],
);

/** Doubts about a stored bar. `scope` is empty, or the universe version whose comparison raised the flag. */
export const barFlags = market.table(
  'bar_flags',
  {
    symbol: symbolColumn().notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    kind: text('kind').notNull(),
    scope: hashColumn('scope').notNull().default(''),
    severity: text('severity').notNull(),
    reason: text('reason').notNull(),
    /** First session at whose close the doubt could be known. */
    availableSession: date('available_session', { mode: 'string' }).notNull(),
    /** From this session on the doubt is settled: the bar was revised. */
    resolvedSession: date('resolved_session', { mode: 'string' }),
    taskRunId: text('task_run_id'),
    recordedAt: recordedAt(),
  },
  (t) => [
    primaryKey({ columns: [t.symbol, t.sessionDate, t.kind, t.scope] }),
    check('bar_flags_severity', sql`${t.severity} in ('doubtful', 'note')`),
  ],
);

/** What a person decides about: rows that cannot be true, splits and dividends that prices deny, tickers after a long gap. */
export const quarantine = market.table(
  'quarantine',
  {
    symbol: symbolColumn().notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    /** `bar`, `split 7:1` or `dividend 12.5` (of that ex date), `dividend basis` (around a split) or `gap` (its end). */
    subject: text('subject').notNull().default('bar'),
    provider: text('provider').notNull(),
    priceBasis: text('price_basis').notNull(),
    codes: text('codes').array().notNull(),
    reason: text('reason').notNull(),
    /** Bars word for word as delivered; empty for what is no bar. */
    raw: jsonb('raw').notNull(),
    status: text('status').notNull().default('pending'),
    decidedBy: text('decided_by'),
    decidedAt: instant('decided_at'),
    decisionReason: text('decision_reason'),
    availableAt: instant('available_at').notNull(),
    taskRunId: text('task_run_id'),
    recordedAt: recordedAt(),
  },
  (t) => [
    primaryKey({ columns: [t.symbol, t.sessionDate, t.subject, t.provider] }),
    check(
      'quarantine_subject',
      sql`${t.subject} in ('bar', 'gap') or ${t.subject} like 'split %' or ${t.subject} like 'dividend %'`,
    ),
    check('quarantine_status', sql`${t.status} in ('pending', 'released', 'rejected')`),
  ],
);

const splitContent = () => ({
  /** 7 new for 1 old, or 1 new for 8 old. */
  newShares: doublePrecision('new_shares').notNull(),
  oldShares: doublePrecision('old_shares').notNull(),
  /** Other sources that could have it, and those of them that report the same. */
  asked: text('asked').array().notNull().default([]),
  confirmedBy: text('confirmed_by').array().notNull().default([]),
  provider: text('provider').notNull(),
});
const dividendContent = () => ({
  amount: doublePrecision('amount').notNull(),
  currency: text('currency').notNull().default('USD'),
  /** `asTraded`, or `adjusted`: already divided by later splits. */
  basis: text('basis').notNull(),
  provider: text('provider').notNull(),
});
const fundamentalContent = () => ({
  currency: text('currency').notNull().default('USD'),
  metrics: jsonb('metrics').notNull(),
  /** Hash of availability, currency and metrics: an unchanged record is not sent again. */
  contentHash: hashColumn('content_hash').notNull(),
});
/** Which version of a fact a row is, from which session's night on it is known, when it was stored. */
const version = () => ({
  revision: smallint('revision').notNull().default(0),
  availableOn: date('available_on', { mode: 'string' }).notNull(),
  recordedAt: recordedAt(),
});
/** The same of a version that another one replaced: nights from `superseded_on` on know the next. */
const oldVersion = () => ({
  revision: smallint('revision').notNull(),
  availableOn: date('available_on', { mode: 'string' }).notNull(),
  supersededOn: date('superseded_on', { mode: 'string' }).notNull(),
  recordedAt: instant('recorded_at').notNull(),
});
const actionKey = () => ({
  symbol: symbolColumn().notNull(),
  exDate: date('ex_date', { mode: 'string' }).notNull(),
});
const fundamentalKey = () => ({
  symbol: symbolColumn().notNull(),
  periodEnd: date('period_end', { mode: 'string' }).notNull(),
  /** `annual` or `snapshot`. */
  kind: text('kind').notNull(),
  provider: text('provider').notNull(),
});

export const splits = market.table('splits', { ...actionKey(), ...splitContent(), ...version() }, (t) => [
  primaryKey({ columns: [t.symbol, t.exDate] }),
]);
export const splitRevisions = market.table(
  'split_revisions',
  { ...actionKey(), ...splitContent(), ...oldVersion() },
  (t) => [primaryKey({ columns: [t.symbol, t.exDate, t.revision] })],
);

export const dividends = market.table(
  'dividends',
  { ...actionKey(), ...dividendContent(), ...version() },
  (t) => [
    primaryKey({ columns: [t.symbol, t.exDate] }),
    check('dividends_basis', sql`${t.basis} in ('asTraded', 'adjusted')`),
  ],
);
export const dividendRevisions = market.table(
  'dividend_revisions',
  { ...actionKey(), ...dividendContent(), ...oldVersion() },
  (t) => [primaryKey({ columns: [t.symbol, t.exDate, t.revision] })],
);

/** Available with the filing date, else 90 days after the period's end. */
export const fundamentals = market.table(
  'fundamentals',
  { ...fundamentalKey(), ...fundamentalContent(), ...version() },
  (t) => [primaryKey({ columns: [t.symbol, t.periodEnd, t.kind, t.provider] })],
);
export const fundamentalRevisions = market.table(
  'fundamental_revisions',
  { ...fundamentalKey(), ...fundamentalContent(), ...oldVersion() },
  (t) => [primaryKey({ columns: [t.symbol, t.periodEnd, t.kind, t.provider, t.revision] })],
);

/** Sessions a symbol was asked for and the provider had nothing: a known gap is not fetched every night. */
export const gaps = market.table(
  'gaps',
  {
    symbol: symbolColumn().notNull(),
    sessionDate: date('session_date', { mode: 'string' }).notNull(),
    provider: text('provider').notNull(),
    taskRunId: text('task_run_id'),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.symbol, t.sessionDate] })],
);

/** Doubts are known up to this session; a write at or before it sets it back. */
export const validationState = market.table(
  'validation_state',
  {
    symbol: symbolColumn().notNull(),
    scope: hashColumn('scope').notNull().default(''),
    revealedThrough: date('revealed_through', { mode: 'string' }).notNull(),
    recordedAt: recordedAt(),
  },
  (t) => [primaryKey({ columns: [t.symbol, t.scope] })],
);
