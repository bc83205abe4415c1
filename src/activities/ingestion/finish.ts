import type { TaskResult, TaskStep } from '../../contracts/activities.ts';
import type { Queryable } from '../../db/client.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { sessionCoverage } from '../../db/queries/bars.ts';
import {
  countFlagsInOutcomes,
  readSymbolOutcomes,
  type SymbolOutcome,
} from '../../db/queries/symbol-outcomes.ts';
import { findUniverse, type UniverseRow } from '../../db/queries/universes.ts';
import { readQualityCounts, type QualityCounts } from '../../db/queries/quality.ts';
import { priceBasisKey } from '../../domain/bars.ts';
import { ABSENCE_WORDS } from '../../domain/validation/absence.ts';
import { failure } from '../errors.ts';
import { currentProgress } from '../progress.ts';
import { groupBy } from './group.ts';
import type { IngestionDeps } from './deps.ts';
import { type IngestionNight, readIngestionNight } from './night.ts';
import { revalidate } from './revalidate.ts';
import { reviewMembers } from './reviews.ts';

/** Failures named in the result and in the message of a failed step. */
const NAMED_FAILURES = 20;
/** Symbols without a bar of the session named in the result, of each class. */
const NAMED_ABSENT = 20;
/** Open questions about splits, dividends and tickers named in the result. */
const NAMED_REVIEWS = 20;

/**
 * Checks across symbols, coverage of the session, threshold; the task's result. Throws CoverageTooLow
 * when more symbols failed than the configuration allows, or when nobody has a bar for the session.
 */
export async function finishIngestion(deps: IngestionDeps, step: TaskStep): Promise<TaskResult> {
  const { sql } = deps.db;
  const progress = currentProgress();
  const night = await readIngestionNight(deps, step);
  const universe = await findUniverse(sql, { universe: step.universe, version: step.universeVersion });
  if (universe === null) throw failure('DataDefect', `universe ${step.universe} was not stored by the plan`);
  const { members } = universe;
  await revalidate({ deps, night, step, members, progress });
  await progress.during('reviews', reviewMembers({ deps, night, step, members }));
  await sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await countFlagsInOutcomes(tx, {
      ...step,
      fromSession: night.fromSession,
      throughSession: step.sessionDate,
    });
  });
  const outcomes = await readSymbolOutcomes(sql, { taskRunId: step.taskRunId });
  const coverage = await readCoverageOf(sql, { step, night, members, outcomes });
  checkThreshold({ night, step, members, outcomes, onSession: coverage.withBar });
  const quality = await readQualityCounts(sql, {
    symbols: members,
    fromSession: night.fromSession,
    throughSession: step.sessionDate,
    universeVersion: step.universeVersion,
  });
  return resultOf({ step, night, universe, outcomes, coverage, quality });
}

type Coverage = {
  fromSession: string;
  throughSession: string;
  members: number;
  /** Members with a bar on the session, and with one that no doubt takes out. */
  withBar: number;
  usable: number;
  ratio: number;
  /** Member sessions without any row, as far as they were asked for. */
  missingSessions: number;
};

async function readCoverageOf(
  sql: Queryable,
  input: {
    step: TaskStep;
    night: IngestionNight;
    members: readonly string[];
    outcomes: readonly SymbolOutcome[];
  },
): Promise<Coverage & { rows: number }> {
  const { step, night, members } = input;
  const counted = await sessionCoverage(sql, {
    symbols: members,
    sessionDate: step.sessionDate,
    fromSession: night.fromSession,
    universeVersion: step.universeVersion,
  });
  return {
    fromSession: night.fromSession,
    throughSession: step.sessionDate,
    members: members.length,
    withBar: counted.onSession,
    usable: counted.usableOnSession,
    ratio: members.length === 0 ? 0 : counted.onSession / members.length,
    missingSessions: counted.gaps,
    rows: counted.rows,
  };
}

function checkThreshold(input: {
  night: IngestionNight;
  step: TaskStep;
  members: readonly string[];
  outcomes: readonly SymbolOutcome[];
  onSession: number;
}): void {
  const { night, step, members, outcomes, onSession } = input;
  const told = new Set(outcomes.map((outcome) => outcome.symbol));
  const untold = members.filter((symbol) => !told.has(symbol));
  const failures = [
    ...outcomes.flatMap((one) => (one.status === 'failed' ? [`${one.symbol}: ${one.reason}`] : [])),
    ...untold.map((symbol) => `${symbol}: no outcome`),
  ];
  const { failureThreshold } = night.config.ingestion;
  if (failures.length > failureThreshold * members.length) {
    throw failure(
      'CoverageTooLow',
      `${failures.length} of ${members.length} symbols failed, more than ${failureThreshold * 100} %: ` +
        failures.slice(0, NAMED_FAILURES).join('; '),
      { details: { failed: failures.length, symbols: members.length, failures: failures.slice(0, 100) } },
    );
  }
  if (onSession === 0) {
    throw failure(
      'CoverageTooLow',
      `no symbol has a bar for ${step.sessionDate}: an unscheduled closure (then add a calendar override), ` +
        `or ${night.coverage.provider} does not have the session yet`,
    );
  }
}

function resultOf(input: {
  step: TaskStep;
  night: IngestionNight;
  universe: UniverseRow;
  outcomes: readonly SymbolOutcome[];
  coverage: Coverage & { rows: number };
  quality: QualityCounts;
}): TaskResult {
  const { night, universe, outcomes, quality } = input;
  const { rows, ...coverage } = input.coverage;
  const sum = (pick: (outcome: SymbolOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + pick(outcome), 0);
  const failures = outcomes.filter((outcome) => outcome.status === 'failed');
  const rowsInserted = sum((outcome) => outcome.rowsInserted);
  const rowsRevised = sum((outcome) => outcome.rowsRevised);
  return {
    totalSymbols: universe.members.length,
    successful: outcomes.length - failures.length,
    failed: failures.length,
    noData: outcomes.filter((outcome) => outcome.status === 'no_data').length,
    totalCandles: rows,
    rowsFetched: sum((outcome) => outcome.rowsFetched),
    rowsInserted,
    rowsRevised,
    rowsChanged: rowsInserted + rowsRevised,
    quarantined: quality.quarantined,
    quarantineUndecided: quality.undecided,
    flagged: quality.flagged,
    notes: quality.notes,
    flagsByKind: quality.byKind,
    doubtfulSessions: quality.doubtfulSessions,
    reviews: quality.reviews.slice(0, NAMED_REVIEWS),
    reviewsOpen: quality.reviews.length,
    coverage,
    ...absentOf(outcomes),
    failures: failures.slice(0, NAMED_FAILURES).map(({ symbol, reason }) => ({ symbol, reason })),
    providers: [...new Set(outcomes.flatMap((one) => (one.provider === null ? [] : [one.provider])))].sort(),
    priceBasis: priceBasisKey(night.coverage.basis),
    survivorship: universe.survivorship,
  };
}

/** Who has no bar of the session and why: of each class those who have been so for the shortest time. */
function absentOf(outcomes: readonly SymbolOutcome[]): Pick<TaskResult, 'absent' | 'absentByClass'> {
  const absent = outcomes.flatMap(({ symbol, reason, details: { absence } }) =>
    absence === undefined
      ? []
      : [{ symbol, class: absence.class, sessions: absence.sessions, lastBar: absence.lastBar, reason }],
  );
  const groups = groupBy(absent, (one) => one.class);
  const named = Object.keys(ABSENCE_WORDS).flatMap((name) =>
    (groups.get(name) ?? [])
      .toSorted((a, b) => a.sessions - b.sessions || (a.symbol < b.symbol ? -1 : 1))
      .slice(0, NAMED_ABSENT),
  );
  const counts = [...groups].map(([name, group]) => [name, group.length] as const);
  return {
    absent: named,
    absentByClass: Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
