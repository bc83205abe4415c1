/**
 * The drift monitor over the bundled history: every session of the last 2.5 years on the sample universe, with both
 * baselines, and how soon planted faults alarm.
 *
 * `node bench/run.mjs drift-replay [--sessions 630] [--json FILE]`. The anchored baseline is set on the first night
 * and never moved; the rolling one follows a model that becomes current every fifth session.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { beginnings, readHistory, replay, type ReplayedNight } from '../tests/support/drift-replay.ts';

const SESSIONS_A_MONTH = 21;

const { values } = parseArgs({
  options: { sessions: { type: 'string', default: '630' }, json: { type: 'string' } },
});
const history = await readHistory({ universe: 'sample', root: pathToFileURL(`${process.cwd()}/`) });
const to = history.sessions.length - 1;
const nights: ReplayedNight[] = [];
for (const night of replay(history, { from: to - Number(values.sessions) + 1, to, retrainSessions: 5 })) {
  nights.push(night);
  if (night.alarms.length > 0) {
    console.log(`${night.date} ${night.flag ? 'flag' : '    '} ${night.alarms.join(' ')}`);
  }
}
const perMonth = (count: number): number => (count * SESSIONS_A_MONTH) / nights.length;
const result = {
  first: nights[0]?.date,
  last: nights.at(-1)?.date,
  nights: nights.length,
  features: history.features.length,
  nightsWithRawPsiAbove025: nights.filter(({ rawAbove }) => rawAbove > 0).length,
  nightsInAlarm: nights.filter(({ alarms }) => alarms.length > 0).length,
  alarmsBegun: beginnings(nights).length,
  alarmsBegunAMonth: perMonth(beginnings(nights).length),
  flags: nights.filter(({ flag }) => flag).length,
  flagsAMonth: perMonth(nights.filter(({ flag }) => flag).length),
};
console.log(result);
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
