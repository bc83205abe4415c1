import { z } from '@hono/zod-openapi';
import { MODELS } from '../../contracts/wire/names.ts';
import {
  type CalibrationBin,
  type PagedModelVersion,
  type PromotionRow,
  readCalibration,
  readModelMetrics,
  readModelPage,
  readPromotionsOf,
  readShapRows,
  readVersionsInUse,
} from '../../db/queries/result-models.ts';
import { findModelVersion, type ModelMetricRow, type StoredModelVersion } from '../../db/queries/training.ts';
import type { ApiDeps } from '../deps.ts';
import { instantPart, type KeyedList, keyIn, readKeyPage } from '../key-pages.ts';
import { Problem } from '../problems.ts';
import { keyPart } from '../results.ts';
import { newRouter } from '../router.ts';
import {
  listRoute,
  type metricSchema,
  type modelSchema,
  shapLists,
  shapRoute,
  versionRoute,
} from './model-definitions.ts';

const keySchema = z.tuple([keyPart.date, instantPart, keyPart.hash]);

const verdictSchema = z.object({
  verdict: z.enum(['edge', 'no_edge']),
  words: z.string(),
  leakSuspected: z.boolean(),
  adjustedPValue: z.number().nullable(),
  smallestDetectableIc: z.number().nullable(),
});
const gateSchema = z.object({ reason: z.string() });
const baselineSchema = z.record(z.string(), z.number().nullable());
const stateSchema = z.enum(['candidate', 'accepted', 'rejected']);
/** Metrics with outcomes of doubtful bars are stored beside the others. */
const WITH_FLAGGED = 'withFlagged.';
/** In the order of the report; baselines follow. */
const ORDER: readonly string[] = [...MODELS, 'meta'];

/** Model versions: which there are, what one is worth, what its models look at. */
export function modelRoutes({ sql }: ApiDeps) {
  const requireVersion = async (version: string): Promise<StoredModelVersion> => {
    const row = await findModelVersion(sql, version);
    if (row === null) throw new Problem('not-found', `there is no model version ${version}`);
    return row;
  };
  return newRouter()
    .openapi(listRoute, async (c) => {
      const { universe, limit, pageToken } = c.req.valid('query');
      const list: KeyedList<PagedModelVersion, [string, string, string]> = {
        read: (key, rows) => {
          const [sessionDate = '', recordedAt = '', version = ''] = key ?? [];
          const after = key === null ? null : { sessionDate, recordedAt, version };
          return readModelPage(sql, { universe, after, limit: rows });
        },
        keyOf: ({ sessionDate, pageAt, version }) => [sessionDate, pageAt, version],
      };
      const after = keyIn(pageToken, keySchema);
      const { rows, nextPageToken } = await readKeyPage(list, { after, limit });
      const inUse = await readVersionsInUse(sql, [...new Set(rows.map((row) => row.universe))]);
      return c.json({ items: rows.map((row) => versionOf(row, inUse)), nextPageToken }, 200);
    })
    .openapi(versionRoute, async (c) => {
      const row = await requireVersion(c.req.valid('param').version);
      const [inUse, promotions, metrics, calibration] = await Promise.all([
        readVersionsInUse(sql, [row.universe]),
        readPromotionsOf(sql, row),
        readModelMetrics(sql, row.version),
        readCalibration(sql, row),
      ]);
      const { universeVersion, datasetHash, codeHash, lockHash, metaHash, oofHash } = row;
      const { seed, threads, platform, libraryVersions } = row;
      return c.json(
        {
          ...versionOf(row, inUse),
          universeVersion,
          datasetHash,
          codeHash,
          lockHash,
          metaHash,
          oofHash,
          seed,
          threads,
          platform,
          libraryVersions,
          promotions: promotions.map(promotionOf),
          models: modelsOf(row, metrics, calibration),
        },
        200,
      );
    })
    .openapi(shapRoute, async (c) => {
      const { version } = await requireVersion(c.req.valid('param').version);
      const rows = await readShapRows(sql, version);
      if (rows.length === 0) throw new Problem('not-found', `${version} has no explanations`);
      const models = rows
        .toSorted((a, b) => placeOf(a.model) - placeOf(b.model))
        .map(({ model, space, additive, additivityMaxError, shapHash, top10, top20 }) => ({
          model,
          space,
          additive,
          additivityMaxError,
          shapHash,
          ...shapLists.parse({ top10, top20 }),
        }));
      return c.json({ version, runId: rows[0]?.taskRunId ?? null, models }, 200);
    });
}

function placeOf(model: string): number {
  const place = ORDER.indexOf(model);
  return place < 0 ? ORDER.length : place;
}

function versionOf(row: StoredModelVersion, inUse: readonly PromotionRow[]) {
  const promotion = inUse.find(
    ({ universe, version }) => universe === row.universe && version === row.version,
  );
  const gate = gateSchema.safeParse(row.gate);
  return {
    version: row.version,
    sessionDate: row.sessionDate,
    universe: row.universe,
    state: stateSchema.parse(row.state),
    accepted: row.accepted,
    gateReason: gate.success ? gate.data.reason : null,
    verdict: verdictsOf(row).get('meta')?.verdict ?? null,
    labelKind: row.labelKind,
    horizonSessions: row.horizonSessions,
    featureSetVersion: row.featureSetVersion,
    survivorship: row.survivorship,
    recordedAt: row.recordedAt,
    inUse: promotion === undefined ? null : promotionOf(promotion),
  };
}

function promotionOf({ effectiveFromSession, kind, decidedBy, why, recordedAt }: PromotionRow) {
  return { fromSession: effectiveFromSession, kind, by: decidedBy, why, recordedAt };
}

type Verdict = z.infer<typeof verdictSchema>;

/** Verdicts by model; one of an older form is left out. */
function verdictsOf({ verdicts }: StoredModelVersion): Map<string, Verdict> {
  const given = z.record(z.string(), z.unknown()).safeParse(verdicts);
  return new Map(
    Object.entries(given.success ? given.data : {}).flatMap(([model, verdict]): [string, Verdict][] => {
      const parsed = verdictSchema.safeParse(verdict);
      return parsed.success ? [[model, parsed.data]] : [];
    }),
  );
}

type Metrics = Record<string, z.infer<typeof metricSchema>>;

function modelsOf(
  version: StoredModelVersion,
  metrics: readonly ModelMetricRow[],
  calibration: readonly CalibrationBin[],
): z.infer<typeof modelSchema>[] {
  const verdicts = verdictsOf(version);
  const names = [...new Set(metrics.map(({ model }) => model))].toSorted(
    (a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1),
  );
  return names.map((name) => {
    const own = metrics.filter(({ model }) => model === name);
    const verdict = verdicts.get(name);
    const bins = calibration.filter(({ model }) => model === name);
    return {
      name,
      kind: name === 'meta' ? 'stack' : MODELS.some((model) => model === name) ? 'model' : 'baseline',
      modelHash: version.models[name] ?? null,
      verdict: verdict?.verdict ?? null,
      verdictInWords: verdict?.words ?? null,
      leakSuspected: verdict?.leakSuspected ?? null,
      adjustedPValue: verdict?.adjustedPValue ?? null,
      smallestDetectableIc: verdict?.smallestDetectableIc ?? null,
      metrics: tableOf(own.filter(({ metric }) => !metric.startsWith(WITH_FLAGGED))),
      metricsWithFlagged: tableOf(own.filter(({ metric }) => metric.startsWith(WITH_FLAGGED))),
      calibration: bins.length === 0 ? null : bins.map(binOf),
    };
  });
}

function tableOf(rows: readonly ModelMetricRow[]): Metrics {
  return Object.fromEntries(
    rows.map(({ metric, value, lower, upper, n, baseline }) => [
      metric.startsWith(WITH_FLAGGED) ? metric.slice(WITH_FLAGGED.length) : metric,
      { value, low: lower, high: upper, n, baselines: baselineSchema.parse(baseline) },
    ]),
  );
}

function binOf({ decile, meanProbability, realisedRate, lower, upper, rows }: CalibrationBin) {
  return { decile, meanProbability, realisedRate: { value: realisedRate, low: lower, high: upper }, rows };
}
