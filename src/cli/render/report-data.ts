import type { RunReport } from '../../contracts/schemas/report.ts';
import { ABSENCE_WORDS } from '../../domain/validation/absence.ts';
import {
  isRecord,
  type JsonObject,
  numberOf,
  percent,
  plain,
  plural,
  recordsOf,
  section,
  words,
  wrap,
} from './values.ts';

/** Named in the report; all of them stand in the JSON. */
const MAX_NAMED = 5;

/** Coverage and quality of the session's data: how much is there, what is wrong with it, where to look. */
export function dataSection(report: RunReport, width: number): string[] {
  const { coverage } = report;
  if (coverage === null) return [];
  const result = report.tasks.find(({ task }) => task === 'ingestion')?.result ?? {};
  const lines = [
    ...coverageLine(coverage, report.sessionDate),
    ...absentLine(result, report.sessionDate),
    ...rowsLine(result),
    ...qualityLines(result, coverage),
    ...reviewLines(result),
    ...failureLine(result),
  ];
  return section(
    'Data',
    lines.flatMap((line) => wrap(line, width)),
  );
}

function coverageLine(coverage: JsonObject, sessionDate: string): string[] {
  const { members, withBar, usable, ratio, fromSession, missingSessions } = coverage;
  if (members === undefined) return [];
  const missing = numberOf(missingSessions) ?? 0;
  const gaps = missing === 0 ? 'no bar missing' : `${plural(missing, 'bar')} missing in it`;
  return [
    `coverage: ${plain(withBar)} of ${plain(members)} symbols have a bar of ${sessionDate} (${percent(ratio)}), ` +
      `${plain(usable)} of them usable; history from ${plain(fromSession)}, ${gaps}`,
  ];
}

/** Who is missing and why: `no bar on 2018-02-07: 1 halted (XYZ, 3 sessions)`. */
function absentLine(result: JsonObject, sessionDate: string): string[] {
  const counts = isRecord(result.absentByClass) ? result.absentByClass : {};
  const absent = recordsOf(result.absent);
  const parts = Object.entries(ABSENCE_WORDS).flatMap(([name, text]) => {
    const count = numberOf(counts[name]) ?? 0;
    if (count === 0) return [];
    const named = absent
      .filter((one) => one.class === name)
      .slice(0, MAX_NAMED)
      .map(({ symbol, sessions }) => `${plain(symbol)}, ${plural(numberOf(sessions) ?? 0, 'session')}`);
    if (named.length === 0) return [`${count} ${text}`];
    const more = count - named.length;
    return [`${count} ${text} (${named.join('; ')}${more > 0 ? ` and ${more} more` : ''})`];
  });
  return parts.length === 0 ? [] : [`no bar on ${sessionDate}: ${parts.join(', ')}`];
}

function rowsLine(result: JsonObject): string[] {
  const { rowsFetched, rowsInserted, rowsRevised, totalCandles, providers, priceBasis } = result;
  if (rowsFetched === undefined) return [];
  const from = Array.isArray(providers) && providers.length > 0 ? ` from ${providers.join(', ')}` : '';
  const basis = typeof priceBasis === 'string' ? `; price basis ${priceBasis}` : '';
  return [
    `rows: ${plain(rowsFetched)} fetched${from}, ${plain(rowsInserted)} new, ${plain(rowsRevised)} revised, ` +
      `${plain(totalCandles)} stored${basis}`,
  ];
}

function qualityLines(result: JsonObject, coverage: JsonObject): string[] {
  const quarantined = numberOf(result.quarantined ?? coverage.quarantined);
  const flagged = numberOf(result.flagged ?? coverage.flagged);
  if (quarantined === null && flagged === null) return [];
  const kinds = Object.entries(isRecord(result.flagsByKind) ? result.flagsByKind : {})
    .toSorted((a, b) => (numberOf(b[1]) ?? 0) - (numberOf(a[1]) ?? 0))
    .map(([kind, count]) => `${words(kind).replaceAll('_', ' ')} ${plain(count)}`);
  const notes = numberOf(result.notes) ?? 0;
  const lines = [
    `quality: ${plural(quarantined ?? 0, 'impossible row')} in quarantine, ` +
      `${plural(flagged ?? 0, 'doubtful bar')} flagged (kept, but missing for features, labels and fills), ` +
      `${plural(notes, 'bar')} with a note`,
    ...(kinds.length === 0 ? [] : [`kinds: ${kinds.join(', ')}`]),
  ];
  const sessions = recordsOf(result.doubtfulSessions);
  if (sessions.length > 0) {
    const named = sessions
      .toSorted((a, b) => (numberOf(b.bars) ?? 0) - (numberOf(a.bars) ?? 0))
      .slice(0, MAX_NAMED)
      .map(({ sessionDate, bars }) => `${plain(sessionDate)} (${plain(bars)} bars)`);
    const more = sessions.length - named.length;
    lines.push(`doubtful sessions: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`);
  }
  if ((quarantined ?? 0) + (flagged ?? 0) > 0) lines.push(LOOK);
  return lines;
}

const LOOK =
  'where to look: `nightshift quarantine list` for the impossible rows, table market.bar_flags for the doubtful bars';

/** Splits, dividends and tickers that wait for a person, each by name. */
function reviewLines(result: JsonObject): string[] {
  const reviews = recordsOf(result.reviews);
  const open = numberOf(result.reviewsOpen) ?? reviews.length;
  if (open === 0) return [];
  const named = reviews.slice(0, MAX_NAMED).map(({ reason }) => plain(reason));
  const more = open - named.length;
  return [
    `to be decided: ${plural(open, 'question')} (\`nightshift quarantine list\`): ${named.join('; ')}` +
      (more > 0 ? ` and ${more} more` : ''),
  ];
}

function failureLine(result: JsonObject): string[] {
  const failed = numberOf(result.failed) ?? 0;
  const noData = numberOf(result.noData) ?? 0;
  const failures = recordsOf(result.failures);
  const named = failures
    .slice(0, MAX_NAMED)
    .map(({ symbol, reason }) => `${plain(symbol)} (${plain(reason)})`);
  const more = failed - named.length;
  return [
    ...(failed === 0
      ? []
      : [
          `failed: ${plural(failed, 'symbol')}: ${named.join('; ')}${more > 0 ? ` and ${more} more` : ''}; ` +
            '`nightshift run-task ingestion` asks for them again',
        ]),
    ...(noData === 0 ? [] : [`no data yet: ${plural(noData, 'symbol')} without any bar up to this session`]),
  ];
}
