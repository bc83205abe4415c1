import { z } from 'zod';
import { type KnownBars, readKnownBars } from '../activities/datasets/known-bars.ts';
import { effectiveConfig, parseEffectiveConfig } from '../contracts/schemas/config.ts';
import { findConfig } from '../db/queries/configs.ts';
import type { SymbolFeatures } from '../db/queries/result-symbols.ts';
import { findTaskResult, type TaskResultRun } from '../db/queries/task-results.ts';
import type { Adjustment } from '../domain/adjustment.ts';
import { configurationInForce } from './configuration.ts';
import type { ApiDeps } from './deps.ts';
import { Problem } from './problems.ts';
import { type AskedNight, requireResult } from './results.ts';

type Deps = Pick<ApiDeps, 'sql'>;

/** The night whose knowledge counts: one whose data came in. */
export async function ingestedRun({ sql }: Deps, { session, universe }: AskedNight): Promise<TaskResultRun> {
  const scan = session === undefined ? await findTaskResult(sql, { task: 'overnightScan', universe }) : null;
  return await requireResult(sql, 'ingestion', {
    session: session ?? scan?.sessionDate,
    universe: scan?.universe ?? universe,
  });
}

/** A symbol's bars as that night knew and judged them. Problem: not-found without any, conflict for untrue ones. */
export async function knownBars(
  deps: Deps,
  { symbol, run, adjust }: { symbol: string; run: TaskResultRun; adjust: Adjustment },
): Promise<KnownBars> {
  const { sessionDate: session, universe, universeVersion } = run;
  const rules = await rulesOf(deps, run);
  try {
    const known = await readKnownBars(deps.sql, { symbol, session, universeVersion, rules, adjust });
    if (known !== null) return known;
  } catch (error) {
    // A dividend that cannot be reinvested, or a calendar that ends here: true of the data, not our mistake.
    if (error instanceof RangeError) throw new Problem('conflict', error.message, { cause: error });
    throw error;
  }
  throw new Problem('not-found', `no bar of ${symbol} was known on the night of ${session} (${universe})`);
}

/** How the night itself judged splits and gaps; a configuration of an older version is none of ours. */
async function rulesOf({ sql }: Deps, { configHash, universe }: TaskResultRun) {
  const stored = await findConfig(sql, configHash);
  try {
    if (stored !== null) return parseEffectiveConfig(stored.body).data;
  } catch {
    // Its settings are read as those in force now.
  }
  return effectiveConfig(await configurationInForce(sql), universe).data;
}

const definitionsSchema = z.array(
  z.object({
    name: z.string(),
    family: z.string(),
    definition: z.string(),
    unit: z.string(),
    lookbackSessions: z.int(),
  }),
);

/** Definitions of features with their values, in the order of their set; null: there is none. */
export function featuresOf({ definitions, values }: Pick<SymbolFeatures, 'definitions' | 'values'>) {
  return definitionsSchema
    .parse(definitions)
    .map((definition, index) => ({ ...definition, value: finite(values[index]) }));
}
export type Feature = ReturnType<typeof featuresOf>[number];

/** A number, or null for none. */
export function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
