import { Command } from 'commander';
import { insertAudit } from '../../db/queries/requests.ts';
import {
  findCurrentVersion,
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
    const current = await Promise.all(universes.map((name) => currentVersion(app, name)));
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
    console.log('* is current for its universe');
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

async function newestSession(app: App, universe: string): Promise<string> {
  const [newest] = await listModelVersions(app.database.sql, { universe, limit: 1 });
  if (newest === undefined) throw new UsageError(await unknownUniverse(app, universe));
  return newest.sessionDate;
}

async function currentVersion(app: App, universe: string) {
  const [newest] = await listModelVersions(app.database.sql, { universe, limit: 1 });
  if (newest === undefined) return null;
  return findCurrentVersion(app.database.sql, { universe, sessionDate: newest.sessionDate });
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
    await setCurrent(app, { ...options, universe, version, kind: 'promote' });
    console.log(`${version} is current for ${universe}.`);
  } finally {
    await app.close();
  }
}

async function rollback(options: Act): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const universe = options.universe ?? (await onlyUniverse(app));
    const current = await currentVersion(app, universe);
    if (current === null) throw new UsageError(await unknownUniverse(app, universe));
    const before = await findCurrentVersion(app.database.sql, {
      universe,
      sessionDate: await newestSession(app, universe),
      except: current.version,
    });
    if (before === null)
      throw new UsageError(
        `${universe}: no version was current before ${current.version}, there is nothing to go back to`,
      );
    await setCurrent(app, { ...options, universe, version: before.version, kind: 'rollback' });
    console.log(`${before.version} is current for ${universe} again, instead of ${current.version}.`);
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

/** The pointer moves for the newest session on: nights of the past keep what they used. */
async function setCurrent(
  app: App,
  act: Act & { universe: string; version: string; kind: 'promote' | 'rollback' },
): Promise<void> {
  const { universe, version, kind, by, why } = act;
  const effectiveFromSession = await newestSession(app, universe);
  await withPipelineRole(app, ({ sql }) =>
    sql.begin(async (tx) => {
      await lockCurrentVersion(tx, universe);
      await insertPromotion(tx, { universe, version, effectiveFromSession, kind, decidedBy: by, why });
      await insertAudit(tx, {
        actor: by,
        action: `model.${kind}`,
        subject: version,
        why,
        details: { universe },
      });
    }),
  );
}
