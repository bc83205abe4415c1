import { type EffectiveConfig, parseEffectiveConfig } from '../../contracts/schemas/config.ts';
import type { TaskStep } from '../../contracts/activities.ts';
import { findConfig } from '../../db/queries/configs.ts';
import { epochDayOf, lowerBound } from '../../domain/bars.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import type { MarketDataProvider, ProviderCoverage } from '../../providers/port.ts';
import { readExchangeCalendar } from '../calendar.ts';
import { failure } from '../errors.ts';
import type { IngestionDeps } from './deps.ts';

/** A live source without a first session is asked for five years. */
const LIVE_HISTORY_SESSIONS = 1260;
const DAY_MS = 86_400_000;

/** What every step of one night's ingestion agrees on. */
export type IngestionNight = {
  config: EffectiveConfig;
  calendar: ExchangeCalendar;
  provider: MarketDataProvider;
  coverage: ProviderCoverage;
  /** First session the universe wants. */
  fromSession: string;
  /** Instant (ms) from which a date's bar counts as knowable: close + settle delay. */
  availableAtMs: (epochDay: number) => number;
  /** Position of a date in the calendar, -1 if the exchange is closed. */
  sessionIndexOf: (epochDay: number) => number;
  nowMs: number;
};

/** Reads the frozen configuration, the calendar with its overrides, and what the provider can have. */
export async function readIngestionNight(deps: IngestionDeps, step: TaskStep): Promise<IngestionNight> {
  const stored = await findConfig(deps.db.sql, step.configHash);
  if (stored === null) throw failure('InvalidInput', `configuration ${step.configHash} is not stored`);
  const config = parseEffectiveConfig(stored.body);
  const { sql } = deps.db;
  const calendar = await readExchangeCalendar({ sql, sessions: deps.sessions, timeZone: config.timezone });
  if (!calendar.isSession(step.sessionDate)) {
    throw failure('InvalidInput', `${step.sessionDate} is not a session of ${calendar.exchange}`);
  }
  const provider = deps.provider(config.providers.chain);
  const coverage = await provider.coverage();
  checkCovered(step.sessionDate, coverage);
  return {
    config,
    calendar,
    provider,
    coverage,
    fromSession: firstSessionOf({ step, config, calendar, coverage }),
    ...tablesOf(calendar, config.settleDelayMinutes * 60_000),
    nowMs: deps.clock().getTime(),
  };
}

function checkCovered(session: string, { provider, firstSession, lastSession }: ProviderCoverage): void {
  const early = firstSession !== null && session < firstSession;
  const late = lastSession !== null && session > lastSession;
  if (early || late) {
    throw failure(
      'InvalidInput',
      `${provider} covers ${firstSession ?? 'the past'} to ${lastSession ?? 'now'}: it cannot have ${session}`,
    );
  }
}

function firstSessionOf(input: {
  step: TaskStep;
  config: EffectiveConfig;
  calendar: ExchangeCalendar;
  coverage: ProviderCoverage;
}): string {
  const { step, config, calendar, coverage } = input;
  const earliest = sessionFrom(calendar, coverage.firstSession ?? calendar.first);
  const wanted = config.historySessions ?? (coverage.firstSession === null ? LIVE_HISTORY_SESSIONS : null);
  if (wanted === null) return earliest;
  const index = Math.max(0, calendar.indexOf(step.sessionDate) - (wanted - 1));
  const { sessionDate } = calendar.at(index);
  return sessionDate < earliest ? earliest : sessionDate;
}

/** Position of the first session from a date on, which need not be one; the calendar's size if there is none. */
export function indexFrom(calendar: ExchangeCalendar, date: string): number {
  return lowerBound(calendar.epochDays, epochDayOf(date));
}

/** Position of the newest session up to a date: what was one when it was stored may be none by now. -1: none. */
export function indexThrough(calendar: ExchangeCalendar, date: string): number {
  return lowerBound(calendar.epochDays, epochDayOf(date) + 1) - 1;
}

/** How many sessions up to this one a symbol has no bar of: all since its last bar, or since the first one wanted. */
export function sessionsSinceBar(
  calendar: ExchangeCalendar,
  input: { sessionDate: string; lastBar: string | null; fromSession: string },
): number {
  const { sessionDate, lastBar, fromSession } = input;
  const before = lastBar === null ? indexFrom(calendar, fromSession) - 1 : indexThrough(calendar, lastBar);
  return calendar.indexOf(sessionDate) - before;
}

/** The first session from a date on; the date itself where the calendar has ended. */
export function sessionFrom(calendar: ExchangeCalendar, date: string): string {
  const index = indexFrom(calendar, date);
  return index < calendar.size ? calendar.at(index).sessionDate : date;
}

type DayTables = Pick<IngestionNight, 'availableAtMs' | 'sessionIndexOf'>;
const tablesByCalendar = new WeakMap<ExchangeCalendar, { settleMs: number; tables: DayTables }>();

/** Both answers from tables over days: they are asked once per row. */
function tablesOf(calendar: ExchangeCalendar, settleMs: number): DayTables {
  const known = tablesByCalendar.get(calendar);
  if (known?.settleMs === settleMs) return known.tables;
  const tables = buildTables(calendar, settleMs);
  tablesByCalendar.set(calendar, { settleMs, tables });
  return tables;
}

function buildTables(calendar: ExchangeCalendar, settleMs: number): DayTables {
  const firstDay = calendar.epochDays[0] ?? 0;
  const days = (calendar.epochDays.at(-1) ?? firstDay) - firstDay + 1;
  const closes = new Float64Array(days).fill(Number.NaN);
  const indexes = new Int32Array(days).fill(-1);
  for (const [index, day] of calendar.epochDays.entries()) {
    closes[day - firstDay] = calendar.at(index).closeMs;
    indexes[day - firstDay] = index;
  }
  return {
    sessionIndexOf: (day) => indexes[day - firstDay] ?? -1,
    availableAtMs: (day) => {
      const close = closes[day - firstDay] ?? Number.NaN;
      // A row of a day without session is known when that day is over.
      return (Number.isNaN(close) ? (day + 1) * DAY_MS : close) + settleMs;
    },
  };
}
