import type { Queryable, Tx } from '../client.ts';
import { jsonb } from '../client.ts';
import { mergeRows } from '../merge.ts';

export type DatasetRow = {
  datasetHash: string;
  parquetHash: string;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  labelKind: string;
  horizonSessions: number;
  rows: number;
  symbols: number;
  sessions: number;
  /** Hash of everything it was built from. */
  inputHash: string;
  manifest: unknown;
  coverage: unknown;
};

/** The newest dataset built from exactly these inputs; null if there is none. */
export async function findDatasetByInput(sql: Queryable, inputHash: string): Promise<DatasetRow | null> {
  const [row] = await sql<DatasetRow[]>`
    select dataset_hash, parquet_hash, session_date, universe, universe_version, feature_set_version,
      label_kind, horizon_sessions, rows, symbols, sessions, input_hash, manifest, coverage
    from turbomode.datasets where input_hash = ${inputHash} order by created_at desc limit 1`;
  return row ?? null;
}

/** A dataset by its hash; null if it was never stored. */
export async function findDataset(sql: Queryable, datasetHash: string): Promise<DatasetRow | null> {
  const [row] = await sql<DatasetRow[]>`
    select dataset_hash, parquet_hash, session_date, universe, universe_version, feature_set_version,
      label_kind, horizon_sessions, rows, symbols, sessions, input_hash, manifest, coverage
    from turbomode.datasets where dataset_hash = ${datasetHash}`;
  return row ?? null;
}

/** The dataset built last for a session with these definitions and labels that still holds; null if there is none. */
export async function findSessionDataset(
  sql: Queryable,
  key: Pick<
    DatasetRow,
    'sessionDate' | 'universe' | 'universeVersion' | 'featureSetVersion' | 'labelKind' | 'horizonSessions'
  >,
): Promise<DatasetRow | null> {
  const [row] = await sql<DatasetRow[]>`
    select dataset_hash, parquet_hash, session_date, universe, universe_version, feature_set_version,
      label_kind, horizon_sessions, rows, symbols, sessions, input_hash, manifest, coverage
    from turbomode.datasets
    where session_date = ${key.sessionDate} and universe = ${key.universe}
      and universe_version = ${key.universeVersion} and feature_set_version = ${key.featureSetVersion}
      and label_kind = ${key.labelKind} and horizon_sessions = ${key.horizonSessions}
      and artifact_deleted_at is null and invalid_reason is null
    order by created_at desc, dataset_hash limit 1`;
  return row ?? null;
}

/** Stores a dataset's row; a known one only loses its marks: its object is back, its bars are the stored ones. */
export async function insertDataset(tx: Tx, row: DatasetRow): Promise<void> {
  await tx`
    insert into turbomode.datasets as d (dataset_hash, parquet_hash, session_date, universe,
      universe_version, feature_set_version, label_kind, horizon_sessions, rows, symbols, sessions,
      input_hash, manifest, coverage)
    values (${row.datasetHash}, ${row.parquetHash}, ${row.sessionDate}, ${row.universe},
      ${row.universeVersion}, ${row.featureSetVersion}, ${row.labelKind}, ${row.horizonSessions},
      ${row.rows}, ${row.symbols}, ${row.sessions}, ${row.inputHash}, ${tx.json(jsonb(row.manifest))},
      ${tx.json(jsonb(row.coverage))})
    on conflict (dataset_hash) do update set artifact_deleted_at = null, invalid_reason = null
      where d.artifact_deleted_at is not null or d.invalid_reason is not null`;
}

/** Names a feature set once: its definitions, by the hash of the same. */
export async function insertFeatureSet(
  tx: Tx,
  input: { featureSetVersion: string; definitions: unknown },
): Promise<void> {
  await tx`
    insert into turbomode.feature_sets (feature_set_version, definitions)
    values (${input.featureSetVersion}, ${tx.json(jsonb(input.definitions))})
    on conflict do nothing`;
}

/** Whether all values of a session that are stored are of bars which changed since. */
export async function hasOnlyInvalidFeatures(
  sql: Queryable,
  input: { sessionDate: string; universeVersion: string; featureSetVersion: string },
): Promise<boolean> {
  const [row] = await sql<{ invalid: boolean | null }[]>`
    select bool_and(invalid_reason is not null) as invalid from turbomode.session_features
    where session_date = ${input.sessionDate} and universe_version = ${input.universeVersion}
      and feature_set_version = ${input.featureSetVersion}`;
  return row?.invalid ?? false;
}

/**
 * Feature values of a night's own session, one row per symbol in the order of the feature set. A symbol that has
 * no values any more keeps its old row, marked invalid.
 */
export async function mergeSessionFeatures(
  tx: Tx,
  input: {
    sessionDate: string;
    universeVersion: string;
    featureSetVersion: string;
    datasetHash: string;
    symbols: readonly string[];
    values: readonly Float32Array[];
  },
): Promise<void> {
  await mergeRows({
    tx,
    table: 'turbomode.session_features',
    rows: input.symbols.length,
    columns: {
      session_date: {
        type: 'date',
        values: input.symbols.map(() => Date.parse(`${input.sessionDate}T00:00:00Z`) / 86_400_000),
      },
      universe_version: { type: 'constant', of: 'text', value: input.universeVersion },
      feature_set_version: { type: 'constant', of: 'text', value: input.featureSetVersion },
      dataset_hash: { type: 'constant', of: 'text', value: input.datasetHash },
      symbol: { type: 'text', values: input.symbols },
      values: { type: 'float4[]', values: input.values },
      invalid_reason: { type: 'text', values: input.symbols.map(() => null) },
    },
    key: ['session_date', 'universe_version', 'feature_set_version', 'symbol'],
    compare: ['values', 'invalid_reason'],
    alsoSet: ['dataset_hash'],
  });
}

export type FoldFitRow = {
  foldKey: string;
  kind: 'fold' | 'final';
  model: string;
  datasetHash: string;
  blockIndex: number;
  modelHash: string;
  predictionsHash: string | null;
  parameters: unknown;
  seed: number;
  threads: number;
  trainRows: number;
  testRows: number | null;
  trees: number | null;
  fitSeconds: number;
  cpuSeconds: number;
};

/** One row per fit that was asked for; what is known stays as it was first written. */
export async function insertFoldFits(tx: Tx, rows: readonly FoldFitRow[]): Promise<void> {
  const column = <T>(pick: (row: FoldFitRow) => T): T[] => rows.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.fold_fits',
    rows: rows.length,
    columns: {
      fold_key: { type: 'text', values: column((row) => row.foldKey) },
      kind: { type: 'text', values: column((row) => row.kind) },
      model: { type: 'text', values: column((row) => row.model) },
      dataset_hash: { type: 'text', values: column((row) => row.datasetHash) },
      block_index: { type: 'int4', values: column((row) => row.blockIndex) },
      model_hash: { type: 'text', values: column((row) => row.modelHash) },
      predictions_hash: { type: 'text', values: column((row) => row.predictionsHash) },
      parameters: { type: 'jsonb', values: column((row) => row.parameters) },
      seed: { type: 'int8', values: column((row) => row.seed) },
      threads: { type: 'int4', values: column((row) => row.threads) },
      train_rows: { type: 'int4', values: column((row) => row.trainRows) },
      test_rows: { type: 'int4', values: column((row) => row.testRows) },
      trees: { type: 'int4', values: column((row) => row.trees) },
      fit_seconds: { type: 'float8', values: column((row) => row.fitSeconds) },
      cpu_seconds: { type: 'float8', values: column((row) => row.cpuSeconds) },
    },
    key: ['dataset_hash', 'model', 'block_index', 'fold_key'],
  });
}

export type ModelVersionRow = {
  version: string;
  sessionDate: string;
  universe: string;
  universeVersion: string;
  featureSetVersion: string;
  datasetHash: string;
  codeHash: string;
  lockHash: string;
  labelKind: string;
  horizonSessions: number;
  parameters: unknown;
  seed: number;
  threads: number;
  libraryVersions: Record<string, string>;
  platform: string;
  /** model id → model hash of the final fit. */
  models: Record<string, string>;
  /** Of its universe when it was trained: whether its figures are too good. */
  survivorship: 'biased' | 'unbiased';
  metaHash: string;
  oofHash: string;
  verdicts: unknown;
  gate: unknown;
  accepted: boolean;
  createdByRun: string;
};

/** Stores a version once. Returns whether it was new. */
export async function insertModelVersion(tx: Tx, row: ModelVersionRow): Promise<boolean> {
  const inserted = await tx`
    insert into turbomode.model_versions (version, session_date, universe, universe_version,
      feature_set_version, dataset_hash, code_hash, lock_hash, label_kind, horizon_sessions, parameters,
      seed, threads, library_versions, platform, models, survivorship, meta_hash, oof_hash, verdicts, gate,
      accepted, state, created_by_run)
    values (${row.version}, ${row.sessionDate}, ${row.universe}, ${row.universeVersion},
      ${row.featureSetVersion}, ${row.datasetHash}, ${row.codeHash}, ${row.lockHash}, ${row.labelKind},
      ${row.horizonSessions}, ${tx.json(jsonb(row.parameters))}, ${row.seed}, ${row.threads},
      ${tx.json(jsonb(row.libraryVersions))}, ${row.platform}, ${tx.json(jsonb(row.models))},
      ${row.survivorship}, ${row.metaHash}, ${row.oofHash}, ${tx.json(jsonb(row.verdicts))}, ${tx.json(jsonb(row.gate))},
      ${row.accepted}, ${row.accepted ? 'accepted' : 'rejected'}, ${row.createdByRun})
    on conflict (version) do nothing returning 1`;
  return inserted.length > 0;
}

export type StoredModelVersion = Omit<ModelVersionRow, 'createdByRun'> & {
  state: string;
  recordedAt: string;
};

/** A version by its name; null if it was never registered. */
export async function findModelVersion(sql: Queryable, version: string): Promise<StoredModelVersion | null> {
  const [row] = await sql<StoredModelVersion[]>`
    select * from turbomode.model_versions where version = ${version}`;
  return row ?? null;
}

/** Newest first. */
export async function listModelVersions(
  sql: Queryable,
  filter: { universe?: string; limit?: number } = {},
): Promise<StoredModelVersion[]> {
  return await sql<StoredModelVersion[]>`
    select * from turbomode.model_versions
    where ${filter.universe === undefined ? sql`true` : sql`universe = ${filter.universe}`}
    order by session_date desc, recorded_at desc, version limit ${filter.limit ?? 50}`;
}

export type Promotion = {
  universe: string;
  version: string;
  /** First session whose night uses it. */
  effectiveFromSession: string;
  kind: 'gate' | 'promote' | 'rollback';
  decidedBy: string;
  why: string;
};

/** Appends to the history of the current pointer. The caller holds the lock that makes "current" stable. */
export async function insertPromotion(tx: Tx, promotion: Promotion): Promise<void> {
  await tx`
    insert into turbomode.model_promotions (universe, version, effective_from_session, kind, decided_by, why)
    values (${promotion.universe}, ${promotion.version}, ${promotion.effectiveFromSession},
      ${promotion.kind}, ${promotion.decidedBy}, ${promotion.why})`;
}

/** Serialises decisions about one universe's current version until the transaction ends. */
export async function lockCurrentVersion(tx: Tx, universe: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`model_promotions/${universe}`}, 0))`;
}

/**
 * The version that is current as of a session: the newest decision effective at or before it, among
 * accepted versions trained through that session or earlier. A replayed night never sees a later one.
 */
export async function findCurrentVersion(
  sql: Queryable,
  input: {
    universe: string;
    sessionDate: string;
    /** Left out of the comparison: a version is not measured against itself. */
    except?: string;
    featureSetVersion?: string;
  },
): Promise<StoredModelVersion | null> {
  const [row] = await sql<StoredModelVersion[]>`
    select v.* from turbomode.model_promotions p join turbomode.model_versions v using (version)
    where p.universe = ${input.universe} and p.effective_from_session <= ${input.sessionDate}
      and v.session_date <= ${input.sessionDate} and v.version <> ${input.except ?? ''}
      and ${input.featureSetVersion === undefined ? sql`true` : sql`v.feature_set_version = ${input.featureSetVersion}`}
    order by p.effective_from_session desc, p.promotion_id desc limit 1`;
  return row ?? null;
}

export type ModelMetricRow = {
  version: string;
  model: string;
  metric: string;
  value: number | null;
  lower: number | null;
  upper: number | null;
  n: number | null;
  baseline: unknown;
  survivorship: ModelVersionRow['survivorship'];
};

/** Metrics of a version; what is known stays. */
export async function insertModelMetrics(tx: Tx, rows: readonly ModelMetricRow[]): Promise<void> {
  const column = <T>(pick: (row: ModelMetricRow) => T): T[] => rows.map(pick);
  await mergeRows({
    tx,
    table: 'turbomode.model_metrics',
    rows: rows.length,
    columns: {
      version: { type: 'text', values: column((row) => row.version) },
      model: { type: 'text', values: column((row) => row.model) },
      metric: { type: 'text', values: column((row) => row.metric) },
      value: { type: 'float8', values: column((row) => row.value) },
      lower: { type: 'float8', values: column((row) => row.lower) },
      upper: { type: 'float8', values: column((row) => row.upper) },
      n: { type: 'int4', values: column((row) => row.n) },
      baseline: { type: 'jsonb', values: column((row) => row.baseline) },
      survivorship: { type: 'text', values: column((row) => row.survivorship) },
    },
    key: ['version', 'model', 'metric'],
  });
}

export type ShapRow = {
  taskRunId: string;
  version: string;
  model: string;
  shapHash: string;
  space: string;
  additive: boolean;
  additivityMaxError: number;
  top10: unknown;
  top20: unknown;
};

/** Explanations of a version, one row per model; what is known stays. */
export async function insertShapRows(tx: Tx, rows: readonly ShapRow[]): Promise<void> {
  for (const row of rows) {
    await tx`
      insert into turbomode.shap_runs (task_run_id, version, model, shap_hash, space, additive,
        additivity_max_error, top10, top20)
      values (${row.taskRunId}, ${row.version}, ${row.model}, ${row.shapHash}, ${row.space},
        ${row.additive}, ${row.additivityMaxError}, ${tx.json(jsonb(row.top10))}, ${tx.json(jsonb(row.top20))})
      on conflict (version, model) do nothing`;
  }
}
