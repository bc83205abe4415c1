import { cscv } from './cscv.ts';

/** Net session returns of one score of one trial; `sessions` are dates, ascending, one for each return. */
export interface ReturnSeries {
  readonly name: string;
  readonly sessions: readonly string[];
  readonly net: Float64Array;
}

/** What an earlier trial of the universe left. */
export interface EarlierTrial {
  readonly trial: string;
  readonly series: readonly ReturnSeries[];
}

/** Probability of backtest overfitting with what it was taken from, plain JSON. */
export interface Overfitting {
  /** Null where it is not defined; then `reason` says why. */
  readonly probability: number | null;
  readonly reason: string | null;
  readonly words: string;
  /** Different series compared, and of how many earlier trials there are some among them. */
  readonly series: number;
  readonly earlierTrials: number;
  /** Earlier trials without a series over these sessions that differs from all others. */
  readonly earlierTrialsLeftOut: number;
  /** Series equal to another to the last digit: they are no further choice. */
  readonly duplicates: number;
  /** Scores of this trial that could not take part. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  readonly firstSession: string | null;
  readonly lastSession: string | null;
  readonly sessions: number;
  readonly subBlocks: number | null;
  readonly combinations: number | null;
  readonly medianLogit: number | null;
  readonly probabilityOfLoss: number | null;
  /** Yearly Sharpe ratio of the best, mean over the splits: where it was chosen, and in the other half. */
  readonly sharpeWhereChosen: number | null;
  readonly sharpeElsewhere: number | null;
}

const MOST_SUB_BLOCKS = 16;
/** C(8, 4) = 70 splits; fewer say nothing. */
const FEWEST_SUB_BLOCKS = 8;
/** Shorter parts than a week have no Sharpe ratio to speak of; and a trade should not lie in two of them. */
const SHORTEST_SUB_BLOCK = 5;
/** An earlier trial takes part while this share of tonight's sessions stays common to all. */
const COMMON_SHARE = 0.75;
/** A stored return is the quotient of two stored equities: it differs in the last digits. */
const DIGITS = 1e12;
const YEARLY = Math.sqrt(252);

/**
 * Probability of backtest overfitting over the scores of one trial and, newest first, of earlier ones, all on the
 * sessions they have in common. Sub-blocks: 16, fewer where they would be shorter than max(5, h) sessions; the oldest
 * sessions that do not fill them are dropped. Scores that never trade or are too short are left out by name.
 */
export function estimateOverfitting(input: {
  readonly own: readonly ReturnSeries[];
  /** Newest first. */
  readonly earlier: readonly EarlierTrial[];
  readonly horizonSessions: number;
}): Overfitting {
  const shortest = Math.max(SHORTEST_SUB_BLOCK, input.horizonSessions);
  const needed = FEWEST_SUB_BLOCKS * shortest;
  const { own, leftOut } = usableScores(input.own, needed);
  const chosen = commonSessions(own, input.earlier);
  const subBlocks = Math.min(MOST_SUB_BLOCKS, 2 * Math.floor(chosen.sessions.length / shortest / 2));
  const perBlock = Math.floor(chosen.sessions.length / Math.max(1, subBlocks));
  const used = subBlocks < FEWEST_SUB_BLOCKS ? [] : chosen.sessions.slice(-perBlock * subBlocks);
  const distinct = distinctColumns(chosen.series, used);
  const known = {
    series: distinct.columns.length,
    earlierTrials: distinct.earlierTrials,
    earlierTrialsLeftOut: input.earlier.length - distinct.earlierTrials,
    duplicates: distinct.duplicates,
    leftOut,
  };
  const reason = whyNot({ own: own.length, series: known.series, found: chosen.sessions.length, needed });
  if (reason !== null) return { ...UNDEFINED, ...known, reason, words: undefinedWords(reason, leftOut) };
  const result = cscv(distinct.columns, subBlocks);
  const found = {
    ...known,
    reason: null,
    probability: result.probability,
    firstSession: used[0] ?? null,
    lastSession: used.at(-1) ?? null,
    sessions: used.length,
    subBlocks,
    combinations: result.combinations,
    medianLogit: result.medianLogit,
    probabilityOfLoss: result.probabilityOfLoss,
    sharpeWhereChosen: yearly(result.bestInSample),
    sharpeElsewhere: yearly(result.bestOutOfSample),
  };
  return { ...found, words: inWords(found) };
}

const UNDEFINED = {
  probability: null,
  firstSession: null,
  lastSession: null,
  sessions: 0,
  subBlocks: null,
  combinations: null,
  medianLogit: null,
  probabilityOfLoss: null,
  sharpeWhereChosen: null,
  sharpeElsewhere: null,
} as const;

function yearly(perSession: number | null): number | null {
  return perSession === null ? null : perSession * YEARLY;
}

type LeftOut = Overfitting['leftOut'];

function usableScores(
  scores: readonly ReturnSeries[],
  needed: number,
): { own: readonly ReturnSeries[]; leftOut: LeftOut } {
  const judged = scores.map((one) => ({ one, why: whyUnusable(one, needed) }));
  return {
    own: judged.flatMap(({ one, why }) => (why === null ? [one] : [])),
    leftOut: judged.flatMap(({ one, why }) => (why === null ? [] : [{ name: one.name, why }])),
  };
}

function whyUnusable({ net, sessions }: ReturnSeries, needed: number): string | null {
  if (net.every((value) => rounded(value) === rounded(net[0] ?? 0))) return 'never trades';
  return sessions.length < needed ? `${sessions.length} of ${needed} sessions` : null;
}

type Placed = { readonly trial: string | null; readonly series: ReturnSeries };

/** The sessions that all of tonight's scores have, narrowed to those of earlier series as long as enough remain. */
function commonSessions(
  own: readonly ReturnSeries[],
  earlier: readonly EarlierTrial[],
): { sessions: readonly string[]; series: readonly Placed[] } {
  const [first, ...others] = own;
  if (first === undefined) return { sessions: [], series: [] };
  let sessions = others.reduce((common, one) => intersection(common, one.sessions), first.sessions);
  const fewest = COMMON_SHARE * sessions.length;
  const series: Placed[] = own.map((one) => ({ trial: null, series: one }));
  for (const { trial, series: left } of earlier) {
    for (const one of left) {
      if (whyUnusable(one, 0) !== null) continue;
      const common = intersection(sessions, one.sessions);
      if (common.length < fewest) continue;
      sessions = common;
      series.push({ trial, series: one });
    }
  }
  return { sessions, series };
}

function intersection(sessions: readonly string[], others: readonly string[]): readonly string[] {
  const known = new Set(others);
  return sessions.filter((session) => known.has(session));
}

/** The returns on those sessions, each different column once; the first of equal ones counts. */
function distinctColumns(
  placed: readonly Placed[],
  sessions: readonly string[],
): { columns: Float64Array[]; earlierTrials: number; duplicates: number } {
  const columns = new Map<string, Float64Array>();
  const trials = new Set<string>();
  if (sessions.length === 0) return { columns: [], earlierTrials: 0, duplicates: 0 };
  for (const { trial, series } of placed) {
    const place = new Map(series.sessions.map((session, index) => [session, index]));
    const column = Float64Array.from(sessions, (session) => rounded(series.net[place.get(session) ?? -1]));
    const key = column.join();
    if (columns.has(key)) continue;
    columns.set(key, column);
    if (trial !== null) trials.add(trial);
  }
  return {
    columns: [...columns.values()],
    earlierTrials: trials.size,
    duplicates: placed.length - columns.size,
  };
}

/** Adding zero makes one zero of both. */
function rounded(value: number | undefined): number {
  return Math.round((value ?? Number.NaN) * DIGITS) / DIGITS + 0;
}

function whyNot(figures: { own: number; series: number; found: number; needed: number }): string | null {
  const { own, series, found, needed } = figures;
  if (own === 0) return `no score traded for ${needed} sessions`;
  if (found < needed) return `${found} sessions in common, ${needed} are needed`;
  return series < 2 ? 'there is only one series to choose from' : null;
}

function undefinedWords(reason: string, leftOut: LeftOut): string {
  return `Probability of backtest overfitting: not defined, ${reason}${leftOutWords(leftOut)}.`;
}

function inWords(found: Omit<Overfitting, 'words'>): string {
  const { probability, combinations, series, sessions, subBlocks, earlierTrials, duplicates } = found;
  const share = probability ?? Number.NaN;
  const from =
    `${series} return series${earlierTrials === 0 ? '' : `, some of ${earlierTrials} earlier trials,`} ` +
    `over ${sessions} sessions in ${subBlocks ?? 0} parts` +
    ((subBlocks ?? 0) < MOST_SUB_BLOCKS ? ` (too few sessions for ${MOST_SUB_BLOCKS})` : '') +
    (duplicates === 0 ? '' : `, ${duplicates} more equal to one of them`);
  return (
    `Probability of backtest overfitting ${share.toFixed(2)}: of ${(combinations ?? 0).toLocaleString('en-US')} ways to ` +
    `choose the best score on one half of the sessions, that share left it at or below the median on the other half ` +
    `(${from}${leftOutWords(found.leftOut)}). Useless scores show 0.5 on average; ${judgement(share)}.`
  );
}

/** No test stands behind this: one number has no interval of its own. */
function judgement(probability: number): string {
  if (probability >= 0.5) return 'here the best score of the past says nothing good about its future';
  if (probability > 0.1) return 'the best score of the past is a doubtful choice';
  return 'the best score of one half was mostly good in the other half too';
}

function leftOutWords(leftOut: LeftOut): string {
  if (leftOut.length === 0) return '';
  return `; left out: ${leftOut.map(({ name, why }) => `${name} (${why})`).join(', ')}`;
}
