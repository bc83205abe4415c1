import type { TaskStep } from '../../contracts/activities.ts';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import { assertCurrentAttempt } from '../../db/fence.ts';
import { countOutcomes } from '../../db/queries/backtests.ts';
import {
  insertMatured,
  type MaturedRow,
  type OpenPrediction,
  openPredictions,
} from '../../db/queries/predictions.ts';
import type { ExchangeCalendar } from '../../domain/calendar.ts';
import { computeLabels } from '../../domain/labels.ts';
import { readRunConfig } from '../config.ts';
import { type MarketPanel, readCalendar, readMarketPanel } from '../datasets/market-panel.ts';
import type { ActivityDeps } from '../deps.ts';
import { currentProgress } from '../progress.ts';
import { outcomesOf } from './outcomes.ts';

/**
 * Writes the outcomes of stored predictions that are due at S, from bars known then; what cannot have one is stored
 * with the reason. A bar that has not come yet is waited for as long as ingestion fetches it again. Returns how
 * the predictions up to S stand, so that the same night says the same again.
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
  const open = await openPredictions(sql, { universe, beforeSession: sessionDate });
  const due = open.filter((prediction) => isDue(prediction, { calendar, sessionDate }));
  const rows: MaturedRow[] = [];
  const groups = groupByLabels(due);
  for (const [index, group] of groups.entries()) {
    progress.report('outcomes', index, groups.length);
    const panel = await progress.during('bars', readPanel(deps, { step, config, calendar, group }));
    rows.push(...maturedRows({ panel, group, config, step }));
  }
  await deps.db.sql.begin(async (tx) => {
    await assertCurrentAttempt(tx, step.fence);
    await insertMatured(tx, rows);
  });
  const { matured, pending } = await countOutcomes(sql, { universe, throughSession: sessionDate });
  return { matured, pending };
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
}): MaturedRow[] {
  const { panel, group, config, step } = context;
  const { sessions, symbols, open, close, states } = panel;
  const horizonSessions = group[0]?.horizonSessions ?? 1;
  const labels = computeLabels({ sessions, symbols, open, close, states, horizonSessions });
  return outcomesOf({
    predictions: group,
    panel,
    labels,
    horizonSessions,
    waitSessions: config.ingestion.overlapSessions,
  }).map((row) => ({ ...row, taskRunId: step.taskRunId }));
}
