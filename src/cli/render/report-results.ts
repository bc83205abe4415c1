import type { RunReport } from '../../contracts/schemas/report.ts';
import { formatNumber, formatTable } from './format.ts';
import { exposureLines } from './report-exposure.ts';
import {
  isRecord,
  type JsonObject,
  numberOf,
  percent,
  plain,
  plural,
  recordsOf,
  section,
  signedPercent,
  wrap,
} from './values.ts';

type Signal = RunReport['signals'][number];
type Backtest = NonNullable<RunReport['backtest']>;

const MAX_RANKED = 8;
const MAX_PER_SIDE = 5;
const MAX_REASONS = 3;

/** The strongest signals of both sides with their reasons, or the ranking where no signal may be issued. */
export function signalSection(report: RunReport, width: number): string[] {
  const issued = report.signals.filter(({ signal }) => signal === 'buy' || signal === 'sell');
  const ranked = report.signals.filter(({ rank }) => rank !== null);
  if (ranked.length === 0) return [];
  const side = (name: 'buy' | 'sell') => issued.filter(({ signal }) => signal === name);
  const shown =
    issued.length > 0
      ? [...side('buy').slice(0, MAX_PER_SIDE), ...side('sell').slice(-MAX_PER_SIDE)]
      : ranked.slice(0, MAX_RANKED);
  const scan = report.tasks.find(({ task }) => task === 'overnightScan')?.result ?? {};
  const next = typeof scan.entrySession === 'string' ? scan.entrySession : 'the next session';
  const counts = `${issued.length} issued, ${plural(report.signals.length, 'symbol')}`;
  const title =
    issued.length > 0 ? `Signals for ${next} (${counts})` : `Ranking for ${next}, no signals (${counts})`;
  const reasons = width < 100 ? 2 : MAX_REASONS;
  const rows = shown.map((signal) => [
    `  ${signal.rank ?? '–'}`,
    signal.symbol,
    // Under the excess label a buy is a bet on beating the median, and reads like that.
    signal.reading ?? signal.signal,
    formatNumber(signal.probability),
    why(signal, reasons),
  ]);
  return section(title, [
    ...formatTable([['  rank', 'symbol', 'signal', 'p', 'why'], ...rows], [0]),
    ...scanLines(report, scan).flatMap((line) => wrap(line, width)),
  ]);
}

function why({ reasons, reason }: Signal, count: number): string {
  if (reasons.length === 0) return reason ?? '';
  return reasons
    .slice(0, count)
    .map(
      ({ feature, contribution }) =>
        `${feature} ${contribution >= 0 ? '+' : ''}${formatNumber(contribution, 3)}`,
    )
    .join(', ');
}

function scanLines(report: RunReport, scan: JsonObject): string[] {
  const issued = report.signals.some(({ reasons }) => reasons.length > 0);
  const notScored = report.signals.filter(({ signal }) => signal === 'not_scored');
  return [
    ...(issued ? ['why: contribution of a feature to the log-odds of the whole stack'] : []),
    ...(notScored.length === 0
      ? []
      : [`not scored: ${notScored.slice(0, 5).map(notScoredWords).join('; ')}${more(notScored.length, 5)}`]),
    ...(scan.simulated === true
      ? ['written after their entry time: marked as simulated, not part of the live track record']
      : []),
    `one symbol in full: nightshift explain SYMBOL --session ${report.sessionDate}`,
  ];
}

function notScoredWords({ symbol, reason }: Signal): string {
  return `${symbol} (${(reason ?? 'no reason given').replace(/^not scored: /, '')})`;
}

function more(count: number, shown: number): string {
  return count > shown ? ` and ${count - shown} more` : '';
}

const COMBINED = ['meta', 'meanLogit'];

/** What trading the probabilities would have brought: the stack, its baseline, the benchmarks; costs included. */
export function backtestSection(report: RunReport, width: number): string[] {
  const { backtest } = report;
  if (backtest === undefined || backtest === null) return [];
  const models = recordsOf(backtest.models);
  const combined = models.filter(({ model }) => COMBINED.includes(String(model)));
  const rows = combined.map((model) => [
    `  ${plain(model.model)}`,
    signedPercent(model.grossReturn),
    signedPercent(model.netReturn),
    width < 100 ? formatNumber(numberOf(model.sharpe), 2) : sharpe(model),
    formatNumber(numberOf(model.deflatedSharpe), 2),
    percent(model.maxDrawdown),
    formatNumber(numberOf(model.breakEvenCostBps), 1),
  ]);
  const benchmarks = recordsOf(backtest.benchmarks).map(({ name, totalReturn }) => [
    `  (${plain(name)})`,
    '',
    signedPercent(totalReturn),
  ]);
  const head = ['  model', 'gross', 'net', 'Sharpe', 'deflated', 'drawdown', 'break-even bp'];
  const title =
    `Backtest, walk-forward ${plain(backtest.firstSession)} to ${plain(backtest.lastSession)}, ` +
    `${plain(backtest.sessions)} sessions`;
  const { trackSessions } = backtest;
  const track = Object.entries(isRecord(trackSessions) ? trackSessions : {}).map(
    ([bucket, sessions]) => `${bucket} ${plain(sessions)}`,
  );
  const prose = [
    `long the top and short the bottom ${percent(backtest.quantile, 0)}, ${plain(backtest.costBpsPerSide)} bp per side and ` +
      `${plain(backtest.borrowBpsPerYear)} bp a year to borrow; ${plain(backtest.trials)} trials counted. ` +
      'Deflated: probability that the Sharpe is more than luck over that many trials',
    ...baseLine(models),
    ...exposureLines(backtest),
    ...(backtest.overfitting === undefined ? [] : [backtest.overfitting.words]),
    ...holdoutLines(backtest.holdout),
    ...recordsOf(backtest.benchmarks).map(({ name, words }) => `(${plain(name)}): ${plain(words)}`),
    `earlier predictions: ${plain(backtest.matured)} matured tonight, ${plain(backtest.pending)} wait for their outcome` +
      (track.length === 0 ? '' : `; sessions in the track record: ${track.join(', ')}`),
    ...(Array.isArray(backtest.notes) ? backtest.notes.map(plain) : []),
  ];
  return section(title, [
    ...formatTable([head, ...rows, ...benchmarks], [1, 2, 6]),
    ...prose.flatMap((line) => wrap(line, width)),
  ]);
}

/** Quarters that were opened tonight, or else the newest one; what stays closed, or why there is nothing to open. */
function holdoutLines(holdout: Backtest['holdout']): string[] {
  if (holdout === undefined) return [];
  const tonight = holdout.opened.filter(({ openedTonight }) => openedTonight);
  const shown = tonight.length > 0 ? tonight : holdout.opened.slice(-1);
  const closed = holdout.closed.map(
    ({ quarter, sessions, predictions, why: reason }) =>
      `Holdout ${quarter}: closed, ${reason}; ${plural(predictions, 'prediction')} of ${plural(sessions, 'session')} so far`,
  );
  const none = 'Holdout: none, no prediction was issued before its outcome existed';
  return shown.length + closed.length === 0 ? [none] : [...shown.map(({ words }) => words), ...closed];
}

function sharpe({ sharpe: value, sharpeLow, sharpeHigh }: JsonObject): string {
  const [low, high] = [numberOf(sharpeLow), numberOf(sharpeHigh)];
  const text = formatNumber(numberOf(value), 2);
  return low === null || high === null ? text : `${text} [${formatNumber(low, 2)}, ${formatNumber(high, 2)}]`;
}

/** The eight one by one stand in the JSON. */
function baseLine(models: readonly JsonObject[]): string[] {
  const traded = models
    .filter(({ model }) => !COMBINED.includes(String(model)))
    .flatMap(({ model, netReturn }) => {
      const net = numberOf(netReturn);
      return net === null ? [] : [{ model: plain(model), net }];
    })
    .toSorted((a, b) => b.net - a.net);
  const [best, worst] = [traded[0], traded.at(-1)];
  if (best === undefined || worst === undefined) return [];
  return [
    `the ${traded.length} base models, net: ${signedPercent(best.net)} (${best.model}) to ${signedPercent(worst.net)} (${worst.model})`,
  ];
}

/** What a person asks first: is it alarming, how much was watched, what moved most. */
export function driftSection(report: RunReport, width: number): string[] {
  if (report.drift === null) return [];
  const { status, monitored, alarms, elevated, stable, notEnoughData, largest } = report.drift;
  const counts = [
    `${plain(monitored)} series watched`,
    `${plain(alarms)} alarms`,
    `${plain(elevated)} elevated`,
    `${plain(stable)} stable`,
    `${plain(notEnoughData)} with not enough data`,
  ];
  const rows = recordsOf(largest)
    .slice(0, 3)
    .map(({ feature, psi, percentile }) => [
      `  ${plain(feature)}`,
      `PSI ${formatNumber(numberOf(psi), 3)}`,
      numberOf(percentile) === null ? '' : `above ${percent(percentile, 0)} of past windows`,
    ]);
  return section('Drift', [
    ...wrap(`${plain(status)}: ${counts.join(', ')}`, width),
    ...undecidedLines(report.drift).flatMap((line) => wrap(line, width)),
    ...anchorLines(report.drift).flatMap((line) => wrap(line, width)),
    ...flagLines(report.drift).flatMap((line) => wrap(line, width)),
    ...formatTable(rows),
  ]);
}

/** Why nothing is said of some series, with the figures that are lacking. */
function undecidedLines({ undecided }: JsonObject): string[] {
  return recordsOf(undecided).map(({ why, series }) => {
    const names = Array.isArray(series) ? series.map(plain) : [];
    const more = names.length > 2 ? ` and ${String(names.length - 1)} more` : '';
    const who = more === '' ? names.join(', ') : `${names[0] ?? ''}${more}`;
    return `not enough data for ${who}: ${plain(why)}`;
  });
}

/** An anchored baseline does not move unsaid. */
function anchorLines({ anchoredBaseline }: JsonObject): string[] {
  if (!isRecord(anchoredBaseline) || anchoredBaseline.setTonight !== true) return [];
  const { first, last, why: reason } = anchoredBaseline;
  const because = typeof reason === 'string' ? `: ${reason}` : '';
  return [`anchored baseline set tonight, ${plain(first)} to ${plain(last)}${because}`];
}

function flagLines({ retrainingFlag, suppressedBy, reasons }: JsonObject): string[] {
  const raised = retrainingFlag === true;
  const why = (Array.isArray(reasons) ? reasons : []).map((reason: unknown) =>
    plain(isRecord(reason) ? reason.words : reason),
  );
  const held =
    suppressedBy === null || suppressedBy === undefined ? '' : ` (held back: ${plain(suppressedBy)})`;
  return [
    `retraining flag: ${raised ? 'raised' : 'not raised'}${held}`,
    ...(raised ? why.slice(0, 3).map((text) => `because ${text}`) : []),
  ];
}
