import type { TaskStep } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { countOutcomes } from '../../db/queries/backtests.ts';
import { endOutcomes, type OutcomeDate, readOutcomeDates } from '../../db/queries/invalidation.ts';
import {
  insertMatured,
  type MaturedRow,
  type OpenPrediction,
  openPredictions,
} from '../../db/queries/outcomes.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { computeLabels } from '../../domain/labels.ts';
import { readRunConfig } from '../config.ts';
import { type MarketPanel, readCalendar, readMarketPanel } from '../datasets/market-panel.ts';
import type { ActivityDeps } from '../deps.ts';
import { currentProgress } from '../progress.ts';
import { applyChanges } from '../revisions/apply-changes.ts';
import { type BarTurn, heldBetween, reaches, readBarTurns } from '../revisions/bar-knowledge.ts';
import { outcomesOf } from './outcomes.ts';

/**
 * Writes the outcomes of stored predictions that are due at S, from bars known then; what cannot have one is stored
 * with the reason. A bar that has not come yet is waited for as long as ingestion fetches it again. An outcome ends
 * where its bars change, come late or become doubtful and is made again beside the old one, which nights before that
 * keep. Rows follow from what is stored of the bars, not from the order of nights. Returns how the predictions up to
 * S stand, so that the same night says the same again.
 */
export async function maturePredictions(
  deps: ActivityDeps,
  step: TaskStep,
): Promise<{ matured: number; pending: number }> {
  const progress = currentProgress();
  const { sql } = deps.db;
  const config = await readRunConfig(sql, step);
  const calendar = await readCalendar(sql, config);
  const { universe, sessionDate } = step;
  await applyChanges(deps, { step, calendar });
  await endStaleOutcomes(deps, { step, calendar });
  const open = await openPredictions(sql, { universe, beforeSession: sessionDate });
  const due = open.filter((prediction) => isDue(prediction, { calendar, sessionDate }));
  const rows: NewOutcome[] = closedRows(open, { calendar, step });
  const groups = groupByLabels(due);
  const turns = await readBarTurns(sql, { universe, calendar, dates: datesOf(due, calendar) });
  for (const [index, group] of groups.entries()) {
    progress.report('outcomes', index, groups.length);
    const panel = await progress.during('bars', readPanel(deps, { step, config, calendar, group }));
    rows.push(...maturedRows({ panel, group, config, step, turns }));
  }
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await insertMatured(tx, { universe, beforeSession: sessionDate, rows });
  });
  const { matured, pending } = await countOutcomes(sql, { universe, throughSession: sessionDate });
  return { matured, pending };
}

/** Numbered when it is stored. */
type NewOutcome = Omit<MaturedRow, 'outcomeVersion'>;

/** Ends the outcomes whose bars this night knows otherwise than the nights before. */
async function endStaleOutcomes(
  deps: ActivityDeps,
  { step, calendar }: { step: TaskStep; calendar: ExchangeCalendar },
): Promise<void> {
  const { sql } = deps.db;
  const held = { universe: step.universe, throughSession: step.sessionDate };
  const dates = await readOutcomeDates(sql, held);
  const changes = await readBarTurns(sql, { universe: step.universe, dates, calendar });
  const ended = await sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    return await endOutcomes(tx, { ...held, changes });
  });
  if (ended > 0) deps.logger?.info('outcomes ended with a change of their bars', { outcomes: ended });
}

/** Sessions of entry and exit of predictions that are due. */
function datesOf(due: readonly OpenPrediction[], calendar: ExchangeCalendar): OutcomeDate[] {
  return due.flatMap(({ universeVersion, sessionDate, horizonSessions }) => [
    { universeVersion, sessionDate: calendar.next(sessionDate) },
    { universeVersion, sessionDate: calendar.offset(sessionDate, horizonSessions) },
  ]);
}

/** A date that turned out to be no session has no outcome, for good unless the calendar is corrected again. */
function closedRows(
  open: readonly OpenPrediction[],
  { calendar, step }: { calendar: ExchangeCalendar; step: TaskStep },
): NewOutcome[] {
  return open
    .filter(({ sessionDate }) => !calendar.isSession(sessionDate))
    .map((prediction) => {
      const { outcomes: _outcomes, horizonSessions: _horizon, ...key } = prediction;
      const next = calendar.next(prediction.sessionDate);
      return {
        ...key,
        entrySession: next,
        exitSession: next,
        availableSession: next,
        invalidFrom: null,
        invalidReason: null,
        entryPrice: null,
        exitPrice: null,
        forwardReturn: null,
        excessReturn: null,
        targetDirection: null,
        targetExcess: null,
        missingReason: 'notASession',
        taskRunId: step.taskRunId,
      };
    });
}

function isDue(
  prediction: OpenPrediction,
  { calendar, sessionDate }: { calendar: ExchangeCalendar; sessionDate: string },
): boolean {
  if (!calendar.isSession(prediction.sessionDate)) return false;
  return calendar.distance(prediction.sessionDate, sessionDate) >= prediction.horizonSessions;
}

/** Predictions of one member list and horizon share their outcomes. */
function groupByLabels(predictions: readonly OpenPrediction[]): OpenPrediction[][] {
  const groups = new Map<string, OpenPrediction[]>();
  for (const prediction of predictions) {
    const key = `${prediction.universeVersion}/${prediction.horizonSessions}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [prediction]);
    else group.push(prediction);
  }
  return [...groups.values()];
}

async function readPanel(
  deps: ActivityDeps,
  context: {
    step: TaskStep;
    config: EffectiveConfig;
    calendar: ExchangeCalendar;
    group: readonly OpenPrediction[];
  },
): Promise<MarketPanel> {
  const { step, config, calendar, group } = context;
  const { sessionDate, universe } = step;
  const first = group.reduce(
    (least, one) => (one.sessionDate < least ? one.sessionDate : least),
    sessionDate,
  );
  return await readMarketPanel(deps.db.sql, {
    sessionDate,
    universe,
    universeVersion: group[0]?.universeVersion ?? step.universeVersion,
    // Only the sessions that outcomes are made of.
    config: { ...config, historySessions: calendar.distance(first, sessionDate) + 1 },
    calendar,
  });
}

function maturedRows(context: {
  panel: MarketPanel;
  group: readonly OpenPrediction[];
  config: EffectiveConfig;
  step: TaskStep;
  turns: readonly BarTurn[];
}): NewOutcome[] {
  const { panel, group, config, step } = context;
  const { sessions, symbols, open, close, states } = panel;
  const horizonSessions = group[0]?.horizonSessions ?? 1;
  const listed = panel.listedFrom === undefined ? {} : { listedFrom: panel.listedFrom };
  const labels = computeLabels({ sessions, symbols, open, close, states, horizonSessions, ...listed });
  return outcomesOf({
    predictions: group,
    panel,
    labels,
    horizonSessions,
    waitSessions: config.ingestion.overlapSessions,
  }).map(({ earliestSession, ...row }) => {
    const turns = context.turns
      .filter(({ universeVersion }) => universeVersion === row.universeVersion)
      .filter((turn) => reaches(turn, row))
      .map(({ effectiveSession }) => effectiveSession);
    return {
      ...row,
      ...heldBetween({ turns, earliest: earliestSession, asOfSession: step.sessionDate }),
      taskRunId: step.taskRunId,
    };
  });
}
