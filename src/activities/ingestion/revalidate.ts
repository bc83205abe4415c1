import { Context } from '@temporalio/activity';
import type { TaskStep } from '../../contracts/activities.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { readBars } from '../../db/queries/bars.ts';
import {
  type FlagRow,
  insertFlags,
  raiseValidationState,
  readValidationState,
} from '../../db/queries/bars-write.ts';
import { nightCutoff } from '../../db/queries/sessions.ts';
import { type BarColumns, epochDayOf, sessionDateOf } from '../../domain/bars.ts';
import { DEFAULT_RULES } from '../../domain/validation/rules.ts';
import type { BarFinding } from '../../domain/validation/types.ts';
import { validateBars } from '../../domain/validation/validate.ts';
import type { Progress } from '../progress.ts';
import type { IngestionDeps } from './deps.ts';
import type { IngestionNight } from './night.ts';
import { isFinalAttempt, retryLater } from './retries.ts';

type RevalidateInput = {
  deps: IngestionDeps;
  night: IngestionNight;
  step: TaskStep;
  members: readonly string[];
  progress: Progress;
};

/**
 * Looks for doubtful bars among all symbols of the source (a flag must not depend on who asks) and
 * stores those of the members that became known since their mark. Where a source cannot list its
 * symbols, members are compared with each other and the flags hold for this member list only.
 * Returns how many flags are new. Where some symbols of the source could not be had tonight, the marks stay and the
 * next night looks again; where more of them than may fail, throws for another attempt or a person.
 */
export async function revalidate(input: RevalidateInput): Promise<{ newFlags: number }> {
  const { deps, night, step, members, progress } = input;
  const { sql } = deps.db;
  const scope = night.coverage.symbols === null ? step.universeVersion : '';
  const marks = await readValidationState(sql, { symbols: members, scope });
  const revealedFrom = firstUnknown({ night, members, marks });
  if (revealedFrom > step.sessionDate) return { newFlags: 0 };
  const { bars, complete } = await progress.during('read for validation', readReference(input, revealedFrom));
  await progress.breathe();
  const report = validateBars({
    bars,
    sessions: night.calendar.epochDays,
    revealedFrom,
    revealedThrough: step.sessionDate,
  });
  const isMember = new Set(members);
  const flags = report.symbols
    .filter((one) => isMember.has(one.symbol))
    .flatMap((one) => one.findings)
    .flatMap((finding) => flagOf(finding, night.fromSession));
  const newFlags = await progress.during(
    'store flags',
    sql.begin(async (tx) => {
      await assertCurrentAttempt(tx, step.fence);
      const inserted = await insertFlags(tx, { flags, scope, taskRunId: step.taskRunId });
      if (complete) await raiseValidationState(tx, { symbols: members, scope, through: step.sessionDate });
      return inserted;
    }),
  );
  return { newFlags };
}

/** The earliest session whose doubts some member does not know yet. */
function firstUnknown(input: {
  night: IngestionNight;
  members: readonly string[];
  marks: ReadonlyMap<string, string>;
}): string {
  const { night, members, marks } = input;
  return members.reduce((earliest, symbol) => {
    const mark = marks.get(symbol);
    const next = mark === undefined ? night.fromSession : sessionDateOf(epochDayOf(mark) + 1);
    return next < earliest ? next : earliest;
  }, '9999-12-31');
}

type Reference = {
  bars: BarColumns[];
  /** False: another night may have more. */
  complete: boolean;
};

async function readReference(input: RevalidateInput, revealedFrom: string): Promise<Reference> {
  const { deps, night, step, members } = input;
  const { calendar, coverage, provider } = night;
  const from = lookbackStart(night, revealedFrom);
  if (coverage.symbols === null) {
    const { symbols } = await readBars(deps.db.sql, {
      symbols: members,
      fromSession: from,
      throughSession: step.sessionDate,
      cutoff: await nightCutoff(deps.db.sql, step.sessionDate),
    });
    return { bars: [...symbols.values()].map((one) => one.bars), complete: true };
  }
  const results = await provider.bars({
    symbols: coverage.symbols,
    from: from < calendar.first ? calendar.first : from,
    to: step.sessionDate,
    asOfSession: step.sessionDate,
    signal: Context.current().cancellationSignal,
    finalAttempt: isFinalAttempt(),
  });
  const passing = results.flatMap((result) =>
    !result.ok && result.error.disposition !== 'notRetryable' ? [result.error] : [],
  );
  if (passing.length > night.config.ingestion.failureThreshold * coverage.symbols.length) {
    // Too little of the market to tell what is doubtful: another attempt may have it, unless all wait for a person.
    const retryable = passing.filter((error) => error.disposition === 'retryable');
    throw retryable.length > 0 ? retryLater(retryable) : passing[0];
  }
  return {
    bars: results.flatMap((result) => (result.ok ? [result.value.bars] : [])),
    complete: passing.length === 0,
  };
}

function lookbackStart({ calendar }: IngestionNight, revealedFrom: string): string {
  // `revealedFrom` may be the day after a mark, which need not be a session.
  const session = calendar.isSession(revealedFrom) ? revealedFrom : calendar.next(revealedFrom);
  const index = Math.max(0, calendar.indexOf(session) - DEFAULT_RULES.lookbackSessions);
  return calendar.at(index).sessionDate;
}

/** Impossible rows are in quarantine already; rows before the universe's history are not stored. */
function flagOf(finding: BarFinding, fromSession: string): FlagRow[] {
  if (finding.severity === 'impossible' || finding.sessionDate < fromSession) return [];
  return [
    {
      symbol: finding.symbol,
      sessionDate: finding.sessionDate,
      kind: finding.code,
      severity: finding.severity,
      reason: finding.reason,
      availableSession: finding.availableAtSession,
    },
  ];
}
