import { Command, Option } from 'commander';
import { API_ROLES, type ApiRole, newApiToken } from '../../contracts/api-tokens.ts';
import { findApiToken, insertApiToken, listApiTokens, revokeApiToken } from '../../db/queries/api-tokens.ts';
import { attachApp } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { actor } from '../options.ts';
import { formatTable } from '../render/format.ts';

const NAME = /^[\w.@ -]{1,64}$/;

/** `nightshift token create|list|revoke`: who may use the HTTP API. */
export function tokenCommand(): Command {
  const token = new Command('token').description('tokens of the HTTP API');
  token
    .command('create')
    .description('make a token and print it, once')
    .requiredOption('--name <name>', 'who uses it: the name in the audit')
    .addOption(
      new Option('--role <role>', 'what it may do: look, also run and decide, also make tokens')
        .choices(API_ROLES)
        .default('viewer'),
    )
    .option('--by <name>', 'who makes it (default: login name)')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(create);
  token
    .command('list')
    .description('the tokens there are, without their secrets')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(list);
  token
    .command('revoke')
    .description('end a token; it stops working within seconds')
    .argument('<id>', 'its id, as `token list` has it')
    .requiredOption('--why <text>', 'the reason, kept in the audit')
    .option('--by <name>', 'who ends it (default: login name)')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(revoke);
  return token;
}

async function create(options: {
  name: string;
  role: ApiRole;
  by?: string;
  dataDir?: string;
}): Promise<void> {
  const { name, role, by, dataDir } = options;
  if (!NAME.test(name))
    throw new UsageError(`--name: ${JSON.stringify(name)} is not 1 to 64 letters, digits or ". @ _ -"`);
  const app = await attachApp(dataDir);
  try {
    const { tokenId, secretHash, text } = newApiToken();
    await insertApiToken(app.database.sql, { tokenId, name, role, secretHash, createdBy: actor(by) });
    console.log(text);
    console.error(`Token ${tokenId} of ${name} (${role}). It is shown this once and stored nowhere.`);
  } finally {
    await app.close();
  }
}

async function list({ dataDir }: { dataDir?: string }): Promise<void> {
  const app = await attachApp(dataDir);
  try {
    const rows = (await listApiTokens(app.database.sql)).map((token) => [
      token.tokenId,
      token.name,
      token.role,
      `by ${token.createdBy} at ${token.recordedAt}`,
      token.revokedAt === null ? '' : `revoked by ${token.revokedBy ?? 'unknown'} at ${token.revokedAt}`,
    ]);
    console.log(
      rows.length === 0 ? 'No token yet: `nightshift token create` makes one.' : formatTable(rows).join('\n'),
    );
  } finally {
    await app.close();
  }
}

async function revoke(
  tokenId: string,
  options: { why: string; by?: string; dataDir?: string },
): Promise<void> {
  const app = await attachApp(options.dataDir);
  try {
    const { sql } = app.database;
    if ((await findApiToken(sql, tokenId)) === null)
      throw new UsageError(`id: there is no token ${tokenId} (\`nightshift token list\`)`);
    const isNew = await revokeApiToken(sql, { tokenId, by: actor(options.by), why: options.why });
    console.log(isNew ? `Token ${tokenId} is revoked.` : `Token ${tokenId} was revoked before.`);
  } finally {
    await app.close();
  }
}
