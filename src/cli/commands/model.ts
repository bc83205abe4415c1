import { Command } from 'commander';
import { createArtifactStore } from '../../artifacts/store.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import {
  findFirstUnusedSession,
  findNewestCurrentVersion,
  readStandingVersions,
} from '../../db/queries/promotions.ts';
import { lockArtifactsForReuse } from '../../db/queries/retention.ts';
import {
  findModelVersion,
  insertPromotion,
  listModelVersions,
  lockCurrentVersion,
  type StoredModelVersion,
} from '../../db/queries/training.ts';
import { type App, attachApp, withPipelineRole } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { formatTable } from '../render/format.ts';
import { isRecord, plain } from '../render/values.ts';

type Act = { universe?: string; by: string; why: string; dataDir?: string };

/** `nightshift model list|promote|rollback`: versions and which one is current; every act is audited. */
export function modelCommand(): Command {
  const model = new Command('model').description('model versions and which one is current');
  model
    .command('list')
    .description('all versions, newest first, and which are current')
    .option('--universe <name>', 'only this universe')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  const act = (name: string, description: string) =>
    model
      .command(name)
      .description(description)
      .option('--universe <name>', 'universe (default: that of the version, or the only one)')
      .requiredOption('--by <name>', 'who decides')
      .requiredOption('--why <text>', 'the reason, kept in the audit')
      .option('--data-dir <dir>', 'data folder (default .nightshift)');
  act('promote', 'make an accepted or rejected version the current one')
    .argument('<version>')
    .action(promote);
  act('rollback', 'go back to the version that was current before').action(rollback);
  return model;
}

async function list(options: { universe?: string; dataDir?: string }): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const { sql } = app.database;
    const { universe } = options;
    const versions = await listModelVersions(sql, universe === undefined ? {} : { universe });
    if (versions.length === 0) {
      if (universe !== undefined) throw new UsageError(await unknownUniverse(app, universe));
      console.log('no versions yet: a night with a training makes the first');
      return;
    }
    const universes = [...new Set(versions.map((row) => row.universe))];
    const current = await Promise.all(universes.map((name) => findNewestCurrentVersion(sql, name)));
    const names = new Set(current.map((row) => row?.version));
    const rows = versions.map((row) => [
      names.has(row.version) ? '*' : '',
      row.version,
      row.universe,
      row.sessionDate,
      row.state,
      verdictOf(row),
      row.recordedAt.slice(0, 19),
    ]);
    const head = ['', 'version', 'universe', 'through', 'gate', 'verdict', 'recorded (UTC)'];
    console.log(formatTable([head, ...rows]).join('\n'));
    console.log('* is current for its universe: what the next night begins with');
    for (const row of versions.filter(({ accepted }) => !accepted)) {
      console.log(`${row.version} was rejected: ${reasonOf(row.gate)}`);
    }
  } finally {
    await app.close();
  }
}

/** What the stack of a version is worth. */
function verdictOf({ verdicts }: StoredModelVersion): string {
  const meta = isRecord(verdicts) ? verdicts.meta : undefined;
  return plain(isRecord(meta) ? meta.verdict : undefined);
}

function reasonOf(gate: unknown): string {
  return plain(isRecord(gate) ? gate.reason : undefined);
}

async function unknownUniverse(app: App, universe: string): Promise<string> {
  const known = [...new Set((await listModelVersions(app.database.sql)).map((row) => row.universe))];
  return `--universe: ${universe} has no version; ${known.length === 0 ? 'there is none at all yet' : `there are some of ${known.join(', ')}`}`;
}

async function promote(version: string, options: Act): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const row = await findModelVersion(app.database.sql, version);
    if (row === null) {
      throw new UsageError(`version: ${version} is not known (\`nightshift model list\` shows all)`);
    }
    const { universe } = row;
    if (options.universe !== undefined && options.universe !== universe) {
      throw new UsageError(`version: ${version} is of universe ${universe}, not of ${options.universe}`);
    }
    const { from } = await setCurrent(app, {
      ...options,
      universe,
      kind: 'promote',
      choose: ({ standing }) => {
        if (standing.at(-1) !== version) return version;
        throw new UsageError(`version: ${version} is current for ${universe} already`);
      },
    });
    console.log(`${version} is current for ${universe} from the night of ${from} on.`);
  } finally {
    await app.close();
  }
}

async function rollback(options: Act): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const universe = options.universe ?? (await onlyUniverse(app));
    const [known] = await listModelVersions(app.database.sql, { universe, limit: 1 });
    if (known === undefined) throw new UsageError(await unknownUniverse(app, universe));
    const { version, instead, from } = await setCurrent(app, {
      ...options,
      universe,
      kind: 'rollback',
      choose: ({ standing }) => {
        const before = standing.at(-2);
        if (before !== undefined) return before;
        const only = standing.at(-1) ?? 'any';
        throw new UsageError(
          `${universe}: no version was current before ${only}, there is nothing to go back to`,
        );
      },
    });
    console.log(
      `${version} is current for ${universe} again from the night of ${from} on, instead of ${instead ?? 'none'}.`,
    );
  } finally {
    await app.close();
  }
}

/** The universe that has versions, where there is only one. */
async function onlyUniverse(app: App): Promise<string> {
  const known = [...new Set((await listModelVersions(app.database.sql)).map((row) => row.universe))];
  const [only] = known;
  if (only === undefined) throw new UsageError('there is no version yet');
  if (known.length > 1) throw new UsageError(`--universe: needed, there are versions of ${known.join(', ')}`);
  return only;
}

type Decision = { version: string; instead: string | null; from: string };

/**
 * Moves the pointer from the first night on that has not used it: nights that were run keep what they used. What is
 * chosen is chosen and checked under the locks of the pointer and of the artifacts.
 */
async function setCurrent(
  app: App,
  act: Act & {
    universe: string;
    kind: 'promote' | 'rollback';
    choose: (known: { standing: readonly string[] }) => string;
  },
): Promise<Decision> {
  const { universe, kind, by, why } = act;
  return await withPipelineRole(app, ({ sql }) =>
    sql.begin(async (tx) => {
      await lockCurrentVersion(tx, universe);
      await lockArtifactsForReuse(tx);
      const standing = await readStandingVersions(tx, universe);
      const version = act.choose({ standing });
      await requireArtifacts(app, await findModelVersion(tx, version), version);
      const from = await findFirstUnusedSession(tx, universe);
      if (from === null)
        throw new UsageError(`${universe}: the stored calendar ends before the next session`);
      const instead = standing.at(-1) ?? null;
      await insertPromotion(tx, { universe, version, effectiveFromSession: from, kind, decidedBy: by, why });
      const details = { universe, instead, effectiveFromSession: from };
      await insertAudit(tx, { actor: by, action: `model.${kind}`, subject: version, why, details });
      return { version, instead, from };
    }),
  );
}

/** Retention may have removed what a rejected version is made of: the next scan would only fail. */
async function requireArtifacts(app: App, row: StoredModelVersion | null, version: string): Promise<void> {
  if (row === null)
    throw new UsageError(`version: ${version} is not known (\`nightshift model list\` shows all)`);
  const artifacts = createArtifactStore(app.runtime.artifactUrl);
  const parts: [string, string][] = [
    ...Object.entries(row.models),
    ['the stack', row.metaHash],
    ['its out-of-fold predictions', row.oofHash],
  ];
  const missing: string[] = [];
  for (const [name, hash] of parts) {
    if (!(await artifacts.has(hash))) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new UsageError(
    `version: ${version} cannot become current, its artifacts were removed (${missing.join(', ')}): ` +
      `train ${row.universe} of ${row.sessionDate} again`,
  );
}
