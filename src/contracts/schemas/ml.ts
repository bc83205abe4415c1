import { z } from 'zod';
import type { MlActivities } from '../activities.ts';
import { MODELS } from '../wire/names.ts';

/**
 * Inputs and outputs of the Python activities on the `ml` queue, and the JSON artifacts they leave
 * behind. `scripts/generate-contract.ts` turns them into `contract/*.schema.json`; both test suites
 * read the same fixtures in `tests/contract/fixtures/`.
 */

/** Lower-case sha256 in hex: the name of an artifact. */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);
export const sessionDateSchema = z.string().regex(/^\d{4}-\d{2}-\d{2}$/);
export const modelNameSchema = z.enum(MODELS);
export const deviceSchema = z.enum(['cpu', 'cuda']);
const countSchema = z.int().min(0);
const secondsSchema = z.number().min(0);
const indexSchema = z.int().min(0);
const seedSchema = z.int().min(0).max(2_147_483_647);
const threadsSchema = z.int().min(1).max(64);

/** Parameters of one model as its library names them; arrays are layer sizes. */
export const parametersSchema = z.record(
  z.string(),
  z.union([z.number(), z.string(), z.boolean(), z.array(z.number())]),
);

const fitJob = {
  datasetHash: hashSchema,
  model: modelNameSchema,
  parameters: parametersSchema,
  seed: seedSchema,
  threads: threadsSchema,
  device: deviceSchema,
};
const modelRefSchema = z.strictObject({ model: modelNameSchema, modelHash: hashSchema });
const modelRefsSchema = z.array(modelRefSchema).min(1);
const fitTimes = { fitSeconds: secondsSchema, cpuSeconds: secondsSchema };

/** The schemas must describe exactly the types that workflows see. */
type ContractOf<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => Promise<infer O>
    ? { input: z.ZodType<I>; output: z.ZodType<O> }
    : never;
};

/** One input and one output schema per activity, keyed by the activity's type on the wire. */
export const ML_CONTRACT = {
  mlInfo: {
    input: z.strictObject({}),
    output: z.strictObject({
      libraryVersions: z.record(z.string(), z.string()),
      codeHash: hashSchema,
      lockHash: hashSchema,
      platform: z.string().min(1),
      threads: threadsSchema,
      cudaAvailable: z.boolean(),
    }),
  },
  fitFold: {
    input: z.strictObject({ ...fitJob, blockIndex: indexSchema }),
    output: z.strictObject({
      foldKey: hashSchema,
      modelHash: hashSchema,
      predictionsHash: hashSchema,
      fitReused: z.boolean(),
      predictionsReused: z.boolean(),
      trainRows: countSchema,
      testRows: countSchema,
      trees: countSchema.nullable(),
      ...fitTimes,
    }),
  },
  fitFinal: {
    input: z.strictObject(fitJob),
    output: z.strictObject({
      fitKey: hashSchema,
      modelHash: hashSchema,
      fitReused: z.boolean(),
      trainRows: countSchema,
      trees: countSchema.nullable(),
      finite: z.boolean(),
      ...fitTimes,
    }),
  },
  fitMeta: {
    input: z.strictObject({
      datasetHash: hashSchema,
      folds: z
        .array(
          z.strictObject({ model: modelNameSchema, blockIndex: indexSchema, predictionsHash: hashSchema }),
        )
        .min(1),
      seed: seedSchema,
      threads: threadsSchema,
      parameters: z.record(z.string(), z.number()),
    }),
    output: z.strictObject({
      metaHash: hashSchema,
      oofHash: hashSchema,
      slope: z.number(),
      usable: z.boolean(),
      baseRate: z.number().min(0).max(1),
      rows: countSchema,
      blocksWithMeta: countSchema,
    }),
  },
  explainModel: {
    input: z.strictObject({
      datasetHash: hashSchema,
      model: modelNameSchema,
      modelHash: hashSchema,
      blockIndex: indexSchema,
      seed: seedSchema,
      threads: threadsSchema,
      device: deviceSchema,
    }),
    output: z.strictObject({
      shapHash: hashSchema,
      additivityMaxError: z.number().min(0),
      additive: z.boolean(),
      space: z.enum(['logOdds', 'probability']),
      seconds: secondsSchema,
    }),
  },
  score: {
    input: z.strictObject({ datasetHash: hashSchema, models: modelRefsSchema, metaHash: hashSchema }),
    output: z.strictObject({ predictionsHash: hashSchema, rows: countSchema }),
  },
  explainSignals: {
    input: z.strictObject({
      datasetHash: hashSchema,
      models: modelRefsSchema,
      metaHash: hashSchema,
      symbolIndexes: z.array(indexSchema).min(1),
      seed: seedSchema,
    }),
    output: z.strictObject({ reasonsHash: hashSchema, rows: countSchema, seconds: secondsSchema }),
  },
} as const satisfies ContractOf<MlActivities>;

export type MlActivityName = keyof MlActivities;
export const ML_ACTIVITY_NAMES = Object.keys(ML_CONTRACT) as MlActivityName[];

/** A fold of the dataset: test sessions of a calendar block and the training window before it. */
export const blockSchema = z.strictObject({
  index: indexSchema,
  anchor: sessionDateSchema,
  firstTestSessionIndex: indexSchema,
  lastTestSessionIndex: indexSchema,
  trainFirstSessionIndex: indexSchema,
  trainLastSessionIndex: indexSchema,
});

/** The dataset's manifest; its own hash is the `datasetHash` that is passed around. */
export const datasetManifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  parquetHash: hashSchema,
  sessionDate: sessionDateSchema,
  universe: z.string().min(1),
  universeVersion: z.string().min(1),
  featureSetVersion: z.string().min(1),
  labelKind: z.enum(['excess', 'direction']),
  horizonSessions: z.int().min(1).max(20),
  embargoSessions: z.int().min(1),
  sessions: z.array(sessionDateSchema).min(1),
  symbols: z.array(z.string().min(1)).min(1),
  features: z.array(z.string().min(1)).min(1),
  rows: countSchema,
  /** First row of each session in the Parquet file, and the row count as the last element. */
  rowStartBySession: z.array(countSchema).min(2),
  blocks: z.array(blockSchema),
  finalTrain: z.strictObject({ firstSessionIndex: indexSchema, lastSessionIndex: indexSchema }),
  scoreSessionIndex: indexSchema,
});
export type DatasetManifest = z.infer<typeof datasetManifestSchema>;

/** What `explainModel` leaves behind (`shapHash`). Shares are of the summed mean |SHAP| of all features. */
export const shapArtifactSchema = z.looseObject({
  model: modelNameSchema,
  space: z.enum(['logOdds', 'probability']),
  baseValue: z.number(),
  additivityMaxError: z.number().min(0),
  additive: z.boolean(),
  rows: z.array(z.looseObject({ sessionIndex: indexSchema, symbolIndex: indexSchema })),
  top10: z
    .array(z.looseObject({ feature: z.string(), meanShap: z.number(), meanAbsShap: z.number().min(0) }))
    .max(10),
  top20: z
    .array(
      z.looseObject({
        rank: z.int().min(1),
        feature: z.string(),
        meanAbsShap: z.number().min(0),
        share: z.number().min(0),
      }),
    )
    .max(20),
});
export type ShapArtifact = z.infer<typeof shapArtifactSchema>;

/** What `explainSignals` leaves behind (`reasonsHash`): the stack's pre-calibration log-odds per symbol. */
export const reasonsArtifactSchema = z.looseObject({
  additivityMaxError: z.number().min(0),
  /** Whether base value and all contributions, of the shown and the other features, add up to the value. */
  additive: z.boolean(),
  symbols: z.record(
    z.string(),
    z.looseObject({
      baseValue: z.number(),
      value: z.number(),
      contributions: z
        .array(z.looseObject({ feature: z.string(), value: z.number().nullable(), shap: z.number() }))
        .max(10),
    }),
  ),
});
export type ReasonsArtifact = z.infer<typeof reasonsArtifactSchema>;

/** Artifacts that cross the language border as JSON, published beside the activities. */
export const ML_ARTIFACTS = {
  datasetManifest: datasetManifestSchema,
  shapArtifact: shapArtifactSchema,
  reasonsArtifact: reasonsArtifactSchema,
} as const;
