import { newApiToken } from '../contracts/api-tokens.ts';
import { createDatabase } from '../db/client.ts';
import { insertApiToken, listApiTokens } from '../db/queries/api-tokens.ts';
import { dataFolderAt } from '../runtime/data-folder.ts';
import type { Runtime } from '../runtime/embedded.ts';
import { writeFileWhole } from '../runtime/files.ts';
import { actor } from './options.ts';

/**
 * Makes the first token where there is none yet: an administrator's, kept in the data folder (mode 0600). Returns
 * what a person is told about it, once.
 */
export async function ensureAdminToken(runtime: Runtime): Promise<string[]> {
  if (runtime.api === null || !runtime.owned) return [];
  const database = createDatabase(runtime.urls.api, { max: 1 });
  try {
    if ((await listApiTokens(database.sql)).length > 0) return [];
    const { tokenId, secretHash, text } = newApiToken();
    const { adminToken } = dataFolderAt(runtime.dataDir);
    // The file first: a token that nobody has would be the only one.
    await writeFileWhole(adminToken, `${text}\n`, 0o600);
    const createdBy = actor(undefined);
    await insertApiToken(database.sql, { tokenId, name: 'admin', role: 'admin', secretHash, createdBy });
    return [`Admin token      ${text} (shown once; kept in ${adminToken}, readable by you only)`];
  } finally {
    await database.close();
  }
}
