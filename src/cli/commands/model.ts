import { Command } from 'commander';
import { insertAudit } from '../../db/queries/requests.ts';
import {
  findCurrentVersion,
  findModelVersion,
  insertPromotion,
  listModelVersions,
  lockCurrentVersion,
} from '../../db/queries/training.ts';
import { type App, attachApp, withPipelineRole } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { formatTable } from '../render/format.ts';

type Act = { universe: string; by: string; why: string; dataDir?: string };

/** `nightshift model list|promote|rollback`: versions and which one is current; every act is audited. */
export function modelCommand(): Command {
  const model = new Command('model').description('model versions and which one is current');
  model
    .command('list')
    .option('--universe <name>', 'universe', 'sample')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  const act = (name: string, description: string) =>
    model
      .command(name)
      .description(description)
      .option('--universe <name>', 'universe', 'sample')
      .requiredOption('--by <name>', 'who decides')
      .requiredOption('--why <text>', 'the reason, kept in the audit')
      .option('--data-dir <dir>', 'data folder (default .nightshift)');
  act('promote', 'make an accepted or rejected version the current one')
    .argument('<version>')
    .action(promote);
  act('rollback', 'go back to the version that was current before').action(rollback);
  return model;
}

async function list(options: { universe: string; dataDir?: string }): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const versions = await listModelVersions(app.database.sql, { universe: options.universe });
    const current = await currentVersion(app, options.universe);
    const rows = versions.map((row) => [
      row.version === current?.version ? '*' : '',
      row.version,
      row.sessionDate,
      row.state,
      row.recordedAt,
    ]);
    const head = ['', 'version', 'through', 'state', 'recorded'];
    console.log(
      rows.length === 0 ? `no versions of ${options.universe} yet` : formatTable([head, ...rows]).join('\n'),
    );
  } finally {
    await app.close();
  }
}

async function newestSession(app: App, universe: string): Promise<string> {
  const [newest] = await listModelVersions(app.database.sql, { universe, limit: 1 });
  if (newest === undefined) throw new UsageError(`--universe: no version of ${universe} yet`);
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
    if (row === null || row.universe !== options.universe) {
      throw new UsageError(
        `version: ${version} is no version of ${options.universe} (\`nightshift model list\`)`,
      );
    }
    await setCurrent(app, { ...options, version, kind: 'promote' });
    console.log(`${version} is current for ${options.universe}.`);
  } finally {
    await app.close();
  }
}

async function rollback(options: Act): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const current = await currentVersion(app, options.universe);
    if (current === null) throw new UsageError(`--universe: ${options.universe} has no current version`);
    const before = await findCurrentVersion(app.database.sql, {
      universe: options.universe,
      sessionDate: await newestSession(app, options.universe),
      except: current.version,
    });
    if (before === null) throw new UsageError(`--universe: no version was current before ${current.version}`);
    await setCurrent(app, { ...options, version: before.version, kind: 'rollback' });
    console.log(`${before.version} is current for ${options.universe} again, instead of ${current.version}.`);
  } finally {
    await app.close();
  }
}

/** The pointer moves for the newest session on: nights of the past keep what they used. */
async function setCurrent(
  app: App,
  act: Act & { version: string; kind: 'promote' | 'rollback' },
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
