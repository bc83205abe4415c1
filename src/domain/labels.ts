/** Longest holding period a label may have, in sessions. */
export const MAX_HORIZON_SESSIONS = 20;
/** The excess label needs a valid return of at least this share of the members that are listed at the entry. */
export const MIN_LABEL_COVERAGE = 0.6;

/** What is known of a bar; anything but `usable` gives neither an entry nor an exit. */
export const BAR_STATES = { usable: 0, missing: 1, quarantined: 2, flagged: 3 } as const;

/** Why a row has no target; the position is the code in `Labels`. */
export const LABEL_REASONS = [
  'labelled',
  'outcomeNotKnown',
  'entryMissing',
  'entryQuarantined',
  'entryFlagged',
  'exitMissing',
  'exitQuarantined',
  'exitFlagged',
  'lowCoverage',
  'tie',
] as const;
export type LabelReason = (typeof LABEL_REASONS)[number];

/** The targets a run can train on. */
export const LABEL_KINDS = ['excess', 'direction'] as const;
export type LabelKind = (typeof LABEL_KINDS)[number];

/**
 * Bars on the exchange calendar as for features: `open[symbol][session]`, NaN = missing, sessions end at the night's
 * session. `states[symbol][session]` (see `BAR_STATES`) gives the reason; without it NaN counts as missing.
 */
export interface LabelInput {
  sessions: readonly string[];
  symbols: readonly string[];
  open: readonly Float64Array[];
  close: readonly Float64Array[];
  states?: readonly Uint8Array[];
  /** Session from which each symbol has had bars; absent: from the first one on. */
  listedFrom?: Int32Array;
  horizonSessions: number;
}

/** Laid out as features: `[session * symbolCount + symbol]`, NaN = none. */
export interface Labels {
  /** close[S + h] / open[S + 1] - 1 on the exchange calendar. */
  forwardReturn: Float64Array;
  /** forwardReturn minus the median of the members that have one. */
  excessReturn: Float64Array;
  /** 1 if forwardReturn > 0, 0 if < 0, NaN if there is none or it is exactly 0. */
  targetDirection: Float64Array;
  /** The same of excessReturn: ties with the median are dropped. */
  targetExcess: Float64Array;
  /** Codes of `LABEL_REASONS` for `targetDirection`. */
  directionReason: Uint8Array;
  /** Codes of `LABEL_REASONS` for `targetExcess`. */
  excessReason: Uint8Array;
}

const codeOf = (reason: LabelReason): number => LABEL_REASONS.indexOf(reason);
const NOT_KNOWN = codeOf('outcomeNotKnown');
const LOW_COVERAGE = codeOf('lowCoverage');
const TIE = codeOf('tie');

/** Throws a RangeError unless the horizon is an integer from 1 to 20. */
export function requireHorizon(horizonSessions: number): void {
  if (!Number.isInteger(horizonSessions) || horizonSessions < 1 || horizonSessions > MAX_HORIZON_SESSIONS) {
    throw new RangeError(`horizonSessions must be an integer from 1 to 20, got ${String(horizonSessions)}`);
  }
}

/**
 * Outcomes of a decision after the close of each session S: in at the open of S + 1, out at the close of S + h
 * (h = 1 is intraday). Sessions are never compressed: an unusable entry or exit gives no label, with its reason,
 * and the last h sessions have none yet.
 */
export function computeLabels(input: LabelInput): Labels {
  const { sessions, symbols, horizonSessions } = input;
  requireHorizon(horizonSessions);
  requireAligned(input);
  const length = sessions.length * symbols.length;
  const labels: Labels = {
    forwardReturn: new Float64Array(length).fill(Number.NaN),
    excessReturn: new Float64Array(length).fill(Number.NaN),
    targetDirection: new Float64Array(length).fill(Number.NaN),
    targetExcess: new Float64Array(length).fill(Number.NaN),
    directionReason: new Uint8Array(length).fill(NOT_KNOWN),
    excessReason: new Uint8Array(length).fill(NOT_KNOWN),
  };
  for (let symbol = 0; symbol < symbols.length; symbol += 1) fillReturns(input, labels, symbol);
  const scratch = new Float64Array(symbols.length);
  for (let session = 0; session + horizonSessions < sessions.length; session += 1) {
    const listed = listedAt(input, session + 1);
    fillExcess({ labels, scratch, first: session * symbols.length, members: symbols.length, listed });
  }
  return labels;
}

/** Members with a bar up to a session: those listed later cannot have one and do not count as uncovered. */
export function listedAt(
  { symbols, listedFrom }: { symbols: readonly string[]; listedFrom?: Int32Array },
  session: number,
): number {
  if (listedFrom === undefined) return symbols.length;
  let listed = 0;
  for (const from of listedFrom) listed += Number(from <= session);
  return listed;
}

/** How many rows have each reason; reasons that do not occur are left out. */
export function countReasons(codes: Uint8Array): Partial<Record<LabelReason, number>> {
  const counts: Partial<Record<LabelReason, number>> = {};
  for (const code of codes) {
    const reason = LABEL_REASONS[code]!;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

function fillReturns(input: LabelInput, labels: Labels, symbol: number): void {
  const { sessions, symbols, horizonSessions } = input;
  const open = input.open[symbol]!;
  const close = input.close[symbol]!;
  const states = input.states?.[symbol];
  for (let session = 0; session + horizonSessions < sessions.length; session += 1) {
    const row = session * symbols.length + symbol;
    const entry = session + 1;
    const exit = session + horizonSessions;
    const reason =
      unusable('entry', open[entry]!, states?.[entry]) ?? unusable('exit', close[exit]!, states?.[exit]);
    if (reason !== undefined) {
      labels.directionReason[row] = reason;
      labels.excessReason[row] = reason;
      continue;
    }
    const value = close[exit]! / open[entry]! - 1;
    labels.forwardReturn[row] = value;
    labels.directionReason[row] = value === 0 ? TIE : 0;
    if (value !== 0) labels.targetDirection[row] = Number(value > 0);
  }
}

/** Code of the reason why a price cannot be traded at, undefined if it can. */
function unusable(side: 'entry' | 'exit', price: number, state: number | undefined): number | undefined {
  if (state === BAR_STATES.quarantined) return codeOf(`${side}Quarantined`);
  if (state === BAR_STATES.flagged) return codeOf(`${side}Flagged`);
  if (state === BAR_STATES.missing || !(price > 0) || !Number.isFinite(price))
    return codeOf(`${side}Missing`);
  return undefined;
}

function fillExcess(job: {
  labels: Labels;
  scratch: Float64Array;
  first: number;
  members: number;
  listed: number;
}): void {
  const { labels, scratch, first, members, listed } = job;
  const { forwardReturn, excessReturn, targetExcess, excessReason } = labels;
  let count = 0;
  for (let row = first; row < first + members; row += 1) {
    if (Number.isNaN(forwardReturn[row]!)) continue;
    scratch[count] = forwardReturn[row]!;
    count += 1;
  }
  const covered = count > 0 && count >= MIN_LABEL_COVERAGE * listed;
  const median = covered ? medianOf(scratch.subarray(0, count).sort()) : Number.NaN;
  for (let row = first; row < first + members; row += 1) {
    if (Number.isNaN(forwardReturn[row]!)) continue;
    const excess = forwardReturn[row]! - median;
    excessReturn[row] = excess;
    excessReason[row] = covered ? (excess === 0 ? TIE : 0) : LOW_COVERAGE;
    if (covered && excess !== 0) targetExcess[row] = Number(excess > 0);
  }
}

function medianOf(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function requireAligned({ sessions, symbols, open, close, states }: LabelInput): void {
  for (const [name, rows] of Object.entries({ open, close, ...(states && { states }) })) {
    if (rows.length !== symbols.length || rows.some((row) => row.length !== sessions.length)) {
      throw new RangeError(`${name} needs one array per symbol with one value per session`);
    }
  }
}
