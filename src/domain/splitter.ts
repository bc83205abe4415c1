import { requireHorizon } from './labels.ts';
import { requirePeriod } from './rolling.ts';

/** A test block and the training window before it. All indices are positions in `sessions`, both ends included. */
export interface WalkForwardBlock {
  index: number;
  /** First day of the calendar period, e.g. `2017-01-01`: the same on every night. */
  anchor: string;
  firstTestSessionIndex: number;
  lastTestSessionIndex: number;
  trainFirstSessionIndex: number;
  trainLastSessionIndex: number;
}

export interface WalkForwardPlan {
  /** Oldest first; the newest grows night by night until its period is over. */
  blocks: WalkForwardBlock[];
  /** Training rows of the model that is used at the night's session. */
  finalTrain: { firstSessionIndex: number; lastSessionIndex: number };
  /** The night's session S: its rows are scored. */
  scoreSessionIndex: number;
  horizonSessions: number;
  embargoSessions: number;
}

export interface WalkForwardOptions {
  /** Sessions up to and including the night's session S, ascending. */
  sessions: readonly string[];
  horizonSessions: number;
  /** At most this many blocks, the newest. */
  blocks?: number;
  /** Length of a period in months; it divides a year, so that anchors repeat: 1, 2, 3, 4, 6 or 12. */
  blockMonths?: number;
  /** Sessions that must lie before the first session of a block. */
  minTrainSessions?: number;
  /** Longest training window. */
  trainWindowSessions?: number;
  /** Default max(5, h), which is also the least. */
  embargoSessions?: number;
}

/** Sessions between the last training label and the first test decision: never fewer. */
export function defaultEmbargo(horizonSessions: number): number {
  return Math.max(5, horizonSessions);
}

/** First day of the period of `blockMonths` that contains the date. */
export function blockAnchor(date: string, blockMonths: number): string {
  const month = Number(date.slice(5, 7));
  const first = month - ((month - 1) % blockMonths);
  return `${date.slice(0, 5)}${String(first).padStart(2, '0')}-01`;
}

/**
 * Walk-forward blocks anchored to fixed calendar dates, so that a later night finds the folds of an earlier one: a
 * block is a calendar period up to S with at least one labelled session and `minTrainSessions` before it. A
 * training row s of a block whose first test session is T satisfies s + h + embargo <= T - 1, one of the final
 * model s + h <= S; of these the last `trainWindowSessions` are taken. RangeError for impossible options.
 */
export function planWalkForward(options: WalkForwardOptions): WalkForwardPlan {
  const { sessions, horizonSessions, blocks = 5, blockMonths = 3 } = options;
  const { minTrainSessions = 400, trainWindowSessions = 756 } = options;
  const embargoSessions = options.embargoSessions ?? defaultEmbargo(horizonSessions);
  requireHorizon(horizonSessions);
  requirePeriod('blocks', blocks);
  requirePeriod('trainWindowSessions', trainWindowSessions);
  requirePeriod('minTrainSessions', minTrainSessions);
  requirePeriod('embargoSessions', embargoSessions);
  if (embargoSessions < defaultEmbargo(horizonSessions)) {
    throw new RangeError(
      `embargoSessions must be at least ${String(defaultEmbargo(horizonSessions))}, got ${String(embargoSessions)}`,
    );
  }
  if (12 % blockMonths !== 0 || !Number.isInteger(blockMonths) || blockMonths < 1) {
    throw new RangeError(`blockMonths must divide 12, got ${String(blockMonths)}`);
  }
  const gap = horizonSessions + embargoSessions;
  if (minTrainSessions <= gap) {
    throw new RangeError(`minTrainSessions must exceed horizon + embargo = ${String(gap)}`);
  }
  const scoreSessionIndex = sessions.length - 1;
  const lastTrain = scoreSessionIndex - horizonSessions;
  if (lastTrain < 0)
    throw new RangeError(`${String(sessions.length)} sessions hold no label of this horizon`);
  const window = (last: number): number => Math.max(0, last - trainWindowSessions + 1);
  const eligible = calendarPeriods(sessions, blockMonths).filter(
    ({ first }) => first + horizonSessions <= scoreSessionIndex && first >= minTrainSessions,
  );
  const plan: WalkForwardPlan = {
    blocks: eligible.slice(-blocks).map(({ anchor, first, last }, index) => ({
      index,
      anchor,
      firstTestSessionIndex: first,
      lastTestSessionIndex: last,
      trainFirstSessionIndex: window(first - 1 - gap),
      trainLastSessionIndex: first - 1 - gap,
    })),
    finalTrain: { firstSessionIndex: window(lastTrain), lastSessionIndex: lastTrain },
    scoreSessionIndex,
    horizonSessions,
    embargoSessions,
  };
  assertNoOverlap(plan);
  return plan;
}

function calendarPeriods(
  sessions: readonly string[],
  blockMonths: number,
): { anchor: string; first: number; last: number }[] {
  const periods: { anchor: string; first: number; last: number }[] = [];
  for (const [i, session] of sessions.entries()) {
    const anchor = blockAnchor(session, blockMonths);
    const current = periods.at(-1);
    if (current?.anchor === anchor) current.last = i;
    else periods.push({ anchor, first: i, last: i });
  }
  return periods;
}

/**
 * The promise of every plan, checked at run time: the embargo is at least max(5, h), no label of a training row
 * reaches the test block or the embargo before it, nor does one of the final model reach beyond S. Throws an Error
 * that names the block.
 */
export function assertNoOverlap(plan: WalkForwardPlan): void {
  const { blocks, finalTrain, scoreSessionIndex, horizonSessions, embargoSessions } = plan;
  const least = defaultEmbargo(horizonSessions);
  if (embargoSessions < least) {
    throw new Error(`an embargo of ${String(embargoSessions)} sessions is shorter than ${String(least)}`);
  }
  for (const block of blocks) {
    const { trainFirstSessionIndex, trainLastSessionIndex, firstTestSessionIndex } = block;
    const lastLabel = trainLastSessionIndex + horizonSessions;
    const ordered =
      trainFirstSessionIndex >= 0 &&
      trainFirstSessionIndex <= trainLastSessionIndex &&
      firstTestSessionIndex <= block.lastTestSessionIndex &&
      block.lastTestSessionIndex <= scoreSessionIndex;
    if (ordered && lastLabel + embargoSessions <= firstTestSessionIndex - 1) continue;
    throw new Error(
      `block ${block.anchor}: training rows ${String(trainFirstSessionIndex)}..${String(trainLastSessionIndex)} ` +
        `with labels to ${String(lastLabel)} reach the test block at ${String(firstTestSessionIndex)}`,
    );
  }
  if (finalTrain.lastSessionIndex + horizonSessions > scoreSessionIndex) {
    throw new Error('the final model would train on outcomes after its night');
  }
}

/**
 * Training sessions on both sides of a test interval (k-fold): those whose label interval [s + 1, s + h] meets
 * neither the label intervals of the test sessions nor the embargo before and after them. Ranges are inclusive.
 */
export function purgedTrainRanges(options: {
  sessionCount: number;
  firstTestSessionIndex: number;
  lastTestSessionIndex: number;
  horizonSessions: number;
  embargoSessions: number;
}): { firstSessionIndex: number; lastSessionIndex: number }[] {
  const { sessionCount, firstTestSessionIndex, lastTestSessionIndex, horizonSessions, embargoSessions } =
    options;
  requireHorizon(horizonSessions);
  const before = firstTestSessionIndex - 1 - embargoSessions - horizonSessions;
  const after = lastTestSessionIndex + horizonSessions + embargoSessions;
  return [
    { firstSessionIndex: 0, lastSessionIndex: before },
    { firstSessionIndex: after, lastSessionIndex: sessionCount - 1 - horizonSessions },
  ].filter(({ firstSessionIndex, lastSessionIndex }) => firstSessionIndex <= lastSessionIndex);
}
