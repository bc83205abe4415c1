import { customType, pgSchema, timestamp } from 'drizzle-orm/pg-core';

/** Master data: only the ingest role writes here. */
export const market = pgSchema('market');
/** Everything derived from master data. */
export const turbomode = pgSchema('turbomode');
/** What ran, who asked for it, what came of it. */
export const ops = pgSchema('ops');

/** Byte order: the order of JavaScript's `<` on ASCII keys, and cheaper to sort and index than a locale. */
const textC = customType<{ data: string; driverData: string }>({ dataType: () => 'text COLLATE "C"' });

/** Ticker symbol, e.g. `BRK.B`. */
export const symbolColumn = (name = 'symbol') => textC(name);
/** Lower-case sha256 hex. */
export const hashColumn = (name: string) => textC(name);
/** An instant (`timestamptz`). */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
/** Set by the database when a row is stored. */
export const recordedAt = () => instant('recorded_at').notNull().defaultNow();
