import { createHash } from 'node:crypto';
import type { TaskInput } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import type { Queryable } from '../../db/client.ts';
import {
  type BarsAsOf,
  type BarSource,
  readBars,
  readNewestBefore,
  type StoredBars,
} from '../../db/queries/bars.ts';
import { type QuarantineRow, readQuarantine } from '../../db/queries/quarantine.ts';
import { readCorporateActions } from '../../db/queries/reference.ts';
import { nightCutoff, readCalendarOverrides, readSessions } from '../../db/queries/sessions.ts';
import { findUniverse } from '../../db/queries/universes.ts';
import { epochDayOf, lowerBound, sessionDateOf } from '../../domain/bars.ts';
import { createCalendar, type ExchangeCalendar } from '../../domain/calendar.ts';
import { BAR_STATES } from '../../domain/labels.ts';
import { gapWords, type LongGap } from '../../domain/validation/gaps.ts';
import { failure } from '../errors.ts';
import { knownSplits, knownValidity, readKnownDecisions } from '../revisions/as-known.ts';
import { type Adjusted, adjustStored, shareUnits } from './adjust-stored.ts';

/**
 * The members' bars on the exchange calendar as the night of S knew them, adjusted to S. Arrays are
 * `field[symbol][session]`, NaN = no bar; doubtful bars are there with their state.
 */
export type MarketPanel = {
  /** From the first session of the history to S. */
  sessions: string[];
  /** Members in ascending order. */
  symbols: string[];
  open: Float64Array[];
  high: Float64Array[];
  low: Float64Array[];
  close: Float64Array[];
  volume: Float64Array[];
  /** Codes of `BAR_STATES`. */
  states: Uint8Array[];
  /** Session from which each symbol has had bars; absent: from the first one on. */
  listedFrom?: Int32Array;
  /** Symbols all of whose bars count as doubtful until a person decides; absent: there is none. */
  held?: { symbol: string; reason: string }[];
  /** Instant up to which the night may know things: the open after S. */
  cutoff: string;
  survivorship: 'biased' | 'unbiased' | 'unknown';
};

/** Prices and volume of the panel. */
export const FIELDS = ['open', 'high', 'low', 'close', 'volume'] as const;

/** The exchange calendar as stored, with its overrides. */
export async function readCalendar(sql: Queryable, config: EffectiveConfig): Promise<ExchangeCalendar> {
  const sessions = await readSessions(sql);
  if (sessions.length === 0) throw failure('InvalidInput', 'market.sessions is empty: run ingestion first');
  const overrides = await readCalendarOverrides(sql);
  return createCalendar({ exchange: 'XNYS', timeZone: config.timezone, sessions, overrides });
}

type PanelInput = Pick<TaskInput, 'sessionDate' | 'universe' | 'universeVersion'>;

/** Reads the panel. Fails with InvalidInput for a universe version no ingestion stored, or without any bar. */
export async function readMarketPanel(
  sql: Queryable,
  input: PanelInput & { config: EffectiveConfig; calendar: ExchangeCalendar },
): Promise<MarketPanel> {
  const { sessionDate, config, calendar } = input;
  const universe = await findUniverse(sql, { universe: input.universe, version: input.universeVersion });
  if (universe === null) {
    throw failure(
      'InvalidInput',
      `universe ${input.universe} ${input.universeVersion} is not stored: run ingestion first`,
    );
  }
  const symbols = universe.members.toSorted();
  const cutoff = await nightCutoff(sql, sessionDate);
  const from = historyStart(calendar, sessionDate, config.historySessions);
  const stored = await readBars(sql, {
    symbols,
    throughSession: sessionDate,
    cutoff,
    universeVersion: input.universeVersion,
    ...(from === null ? {} : { fromSession: from }),
  });
  if (stored.rows === 0) {
    throw failure('InvalidInput', `no bar of ${input.universe} up to ${sessionDate} is stored`);
  }
  const units = shareUnits(usedSources(stored), sessionDate);
  const actions = await readCorporateActions(sql, {
    symbols,
    throughSession: sessionDate,
    unitsThrough: units,
  });
  const quarantined = await readQuarantine(sql, {
    symbols,
    throughSession: sessionDate,
    subject: 'bar',
    limit: 100_000,
  });
  const decisions = await readKnownDecisions(sql, { symbols, cutoff });
  const sessions = sessionsOf(calendar, from ?? firstDate(stored.symbols), sessionDate);
  const before = await readNewestBefore(sql, { symbols, session: sessions[0] ?? sessionDate });
  const days = Int32Array.from(sessions, epochDayOf);
  const panel = emptyPanel({ sessions, symbols, cutoff, survivorship: universe.survivorship });
  const held: { symbol: string; reason: string }[] = [];
  for (const [index, symbol] of symbols.entries()) {
    const bars = stored.symbols.get(symbol);
    if (bars === undefined) continue;
    const { splits = [], dividends = [] } = actions.get(symbol) ?? {};
    const { sources } = stored;
    const adjusted = adjustStored({
      stored: bars,
      sources,
      actions: {
        splits: knownSplits({ stored: bars, sources, splits, rules: config.data, decisions }),
        dividends,
      },
      units,
    });
    const validity = knownValidity({
      stored: bars,
      previousBar: before.get(symbol),
      sessionIndexOf: (day) => positionOf(calendar.epochDays, day),
      maxGapSessions: config.data.maxGapSessions,
      decisions,
    });
    // What is before a gap that nobody released is of another company for all we know.
    if (validity.from !== null) before.delete(symbol);
    if (validity.held !== null) held.push({ symbol, reason: heldWords(symbol, validity.held) });
    const fromDay = validity.from === null ? Number.NEGATIVE_INFINITY : epochDayOf(validity.from);
    place(panel, { index, days, stored: bars, adjusted, fromDay, isHeld: validity.held !== null });
  }
  markQuarantined(panel, { days, rows: quarantined, cutoff });
  const listedFrom = listedFromOf(panel, before);
  return { ...panel, listedFrom, ...(held.length > 0 && { held }) };
}

function positionOf(days: Int32Array, day: number): number {
  const position = lowerBound(days, day);
  return days[position] === day ? position : -1;
}

function heldWords(symbol: string, gap: LongGap): string {
  return `held: ${gapWords(symbol, gap)} (\`nightshift quarantine list\`)`;
}

function usedSources({ symbols, sources }: BarsAsOf): BarSource[] {
  const used = new Set([...symbols.values()].flatMap(({ sourceIds }) => [...new Set(sourceIds)]));
  return [...sources.values()].filter(({ sourceId }) => used.has(sourceId));
}

function historyStart(calendar: ExchangeCalendar, session: string, count: number | null): string | null {
  if (count === null) return null;
  return calendar.at(Math.max(0, calendar.indexOf(session) - (count - 1))).sessionDate;
}

function firstDate(symbols: ReadonlyMap<string, StoredBars>): string {
  let first = Number.POSITIVE_INFINITY;
  for (const { bars } of symbols.values()) first = Math.min(first, bars.epochDays[0] ?? first);
  return sessionDateOf(first);
}

function sessionsOf(calendar: ExchangeCalendar, from: string, to: string): string[] {
  return [...calendar.sessionsBetween(from, to)];
}

function emptyPanel(
  given: Pick<MarketPanel, 'sessions' | 'symbols' | 'cutoff' | 'survivorship'>,
): MarketPanel {
  const column = (): Float64Array[] =>
    given.symbols.map(() => new Float64Array(given.sessions.length).fill(Number.NaN));
  return {
    ...given,
    open: column(),
    high: column(),
    low: column(),
    close: column(),
    volume: column(),
    states: given.symbols.map(() => new Uint8Array(given.sessions.length).fill(BAR_STATES.missing)),
  };
}

function place(
  panel: MarketPanel,
  input: {
    index: number;
    days: Int32Array;
    stored: StoredBars;
    adjusted: Adjusted;
    /** Rows before it are left out. */
    fromDay: number;
    isHeld: boolean;
  },
): void {
  const { index, days, stored, adjusted, fromDay, isHeld } = input;
  const { epochDays } = stored.bars;
  const states = panel.states[index] ?? new Uint8Array();
  const targets = new Int32Array(epochDays.length).fill(-1);
  // Both are ascending: one walk finds the session of every row.
  let session = lowerBound(days, epochDays[0] ?? 0);
  for (let row = 0; row < epochDays.length; row += 1) {
    const day = epochDays[row] ?? 0;
    while (session < days.length && (days[session] ?? 0) < day) session += 1;
    if (days[session] !== day || day < fromDay) continue;
    targets[row] = session;
    states[session] = isHeld || stored.flagged[row] === 1 ? BAR_STATES.flagged : BAR_STATES.usable;
  }
  for (const field of FIELDS) scatter(adjusted[field], targets, panel[field][index] ?? new Float64Array());
}

function scatter(from: Float64Array, targets: Int32Array, to: Float64Array): void {
  for (let row = 0; row < targets.length; row += 1) {
    const target = targets[row] ?? -1;
    if (target >= 0) to[target] = from[row] ?? Number.NaN;
  }
}

/** A session without a bar because what came was impossible: whatever was decided about it later. */
function markQuarantined(
  panel: MarketPanel,
  input: { days: Int32Array; rows: readonly QuarantineRow[]; cutoff: string },
): void {
  const indexOf = new Map(panel.symbols.map((symbol, index) => [symbol, index]));
  const before = Date.parse(input.cutoff);
  for (const row of input.rows) {
    const states = panel.states[indexOf.get(row.symbol) ?? -1];
    const day = epochDayOf(row.sessionDate);
    const session = lowerBound(input.days, day);
    if (states === undefined || input.days[session] !== day) continue;
    if (states[session] !== BAR_STATES.missing || Date.parse(row.availableAt) >= before) continue;
    states[session] = BAR_STATES.quarantined;
  }
}

/** A list as of S has members that came later than the first sessions; those with older bars were there. */
function listedFromOf(
  { symbols, states, sessions }: MarketPanel,
  older: ReadonlyMap<string, string>,
): Int32Array {
  return Int32Array.from(symbols, (symbol, index) => {
    if (older.has(symbol)) return 0;
    const first = states[index]?.findIndex((state) => state !== BAR_STATES.missing) ?? -1;
    return first < 0 ? sessions.length : first;
  });
}

/** The panel with every bar that is not usable taken out: what features, labels and fills may see. */
export function maskPanel(panel: MarketPanel): MarketPanel {
  const mask = (columns: readonly Float64Array[]): Float64Array[] =>
    columns.map((column, index) => {
      const states = panel.states[index];
      return column.map((value, session) => (states?.[session] === BAR_STATES.usable ? value : Number.NaN));
    });
  return {
    ...panel,
    open: mask(panel.open),
    high: mask(panel.high),
    low: mask(panel.low),
    close: mask(panel.close),
    volume: mask(panel.volume),
  };
}

/** Hash of everything in the panel that a dataset can depend on. */
export function hashPanel(panel: MarketPanel): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([panel.sessions, panel.symbols]));
  hash.update(JSON.stringify([...(panel.listedFrom ?? [])]));
  if (panel.held !== undefined) hash.update(JSON.stringify(panel.held));
  for (const columns of [...FIELDS.map((field) => panel[field]), panel.states]) {
    for (const column of columns) {
      hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
    }
  }
  return hash.digest('hex');
}
