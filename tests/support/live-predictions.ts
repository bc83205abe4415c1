import type { Sql } from '../../src/db/client.ts';
import {
  insertPredictions,
  PROBABILITY_NAMES,
  type PredictionRow,
} from '../../src/db/queries/predictions.ts';

/** Live predictions of every session of a range for `tiny`, as the scan would have left them. */
export async function issueLivePredictions(
  sql: Sql,
  set: { universeVersion: string; from: string; to: string },
): Promise<void> {
  const { universeVersion } = set;
  const dates = await sql<{ sessionDate: string }[]>`
    select session_date from market.sessions where session_date between ${set.from} and ${set.to} order by 1`;
  const [list] = await sql<{ members: string[] }[]>`
    select members from market.universes where universe = 'tiny' and version = ${universeVersion}`;
  for (const [day, { sessionDate }] of dates.entries()) {
    const rows = (list?.members ?? []).map((symbol, index) => ({
      symbol,
      probabilities: Object.fromEntries(
        PROBABILITY_NAMES.map((name) => [name, 0.46 + 0.01 * ((index + 3 * day) % 8)]),
      ) as PredictionRow['probabilities'],
      metaLogit: 0,
      baseRate: 0.5,
    }));
    const header = {
      sessionDate,
      universe: 'tiny',
      universeVersion,
      modelVersion: 'live',
      datasetHash: 'd'.repeat(64),
      featureSetVersion: 'f'.repeat(64),
      labelKind: 'excess',
      horizonSessions: 1,
      simulated: false,
      taskRunId: 'scan',
    };
    await sql.begin((tx) => insertPredictions(tx, { header, revision: 1, rows }));
  }
}
