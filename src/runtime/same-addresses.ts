import type { Addresses, DatabaseUrls } from './addresses.ts';
import type { RuntimeState } from './embedded.ts';

/** The environment of a command names other servers than the instance it attaches to was started with. */
export class OtherAddressesError extends Error {
  override name = 'OtherAddressesError';
}

/** host:port/database of each login, without the login. */
export function databasesOf(urls: DatabaseUrls): Record<string, string> {
  return Object.fromEntries(
    Object.entries(urls).map(([role, url]) => {
      const { host, pathname } = new URL(url);
      return [role, `${host}${pathname}`];
    }),
  );
}

/** A part, where the instance has it, and where this environment has it. */
type Pair = [name: string, there: string, here: string | undefined];

/**
 * Logins come from the environment of whoever attaches. Throws OtherAddressesError unless they lead to the servers of
 * the instance: a command must not write to one's database and ask another's Temporal.
 */
export function requireSameAddresses(input: {
  root: string;
  state: RuntimeState;
  here: Pick<Addresses, 'postgres' | 'temporal' | 'namespace' | 'urls'>;
}): void {
  const { root, state, here } = input;
  const databases = databasesOf(here.urls);
  const postgresOnly: Pair = ['Postgres', state.postgres, here.postgres];
  const pairs: Pair[] = [
    // An instance of an older version says only where its server is.
    ...(state.databases === undefined
      ? [postgresOnly]
      : Object.entries(state.databases).map(([role, there]): Pair => {
          return [role === 'owner' ? 'Postgres' : `Postgres for ${role}`, there, databases[role]];
        })),
    ['Temporal', state.temporal, here.temporal],
    ['the namespace', state.namespace, here.namespace],
  ];
  const wrong = pairs.filter(([, there, own]) => there !== own);
  if (wrong.length === 0) return;
  // Where the owner's login leads elsewhere, those of the roles follow it.
  const servers = wrong.filter(([name]) => !name.includes(' for '));
  const named = servers.length > 0 ? servers : wrong;
  throw new OtherAddressesError(
    `the instance that runs on ${root} uses ` +
      `${named.map(([name, there, own]) => `${name} ${there} (this environment: ${own ?? 'none'})`).join(', ')}. ` +
      'Set DATABASE_URL, NIGHTSHIFT_DB_URL_… and TEMPORAL_… as where it was started, or unset what was not set there.',
  );
}
