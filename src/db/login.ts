import type { ClientConfig } from 'pg';
import { ROW_TYPES } from './rows.ts';

/** How a server is asked for TLS; `prefer` goes on without it where the server has none. */
export type Login = { config: ClientConfig; mayGoWithoutTls: boolean };

/** What a URL may say about the client itself; everything else behind the `?` is a setting of the session. */
const CLIENT_WORDS = new Set([
  'ssl',
  'sslmode',
  'sslrootcert',
  'sslnegotiation',
  'host',
  'port',
  'options',
  'application_name',
  'connect_timeout',
  'idle_timeout',
  'max',
  'max_lifetime',
  'keep_alive',
]);

const KEEP_ALIVE_MS = 60_000;

/**
 * Settings of a connection to `url` (`postgres://user:password@host:port/database?…`; a folder as `host` is that of
 * a Unix socket). `sslmode` `require`, `allow` and `prefer` encrypt and do not check the certificate, `disable` does
 * not encrypt, everything else checks. What is absent comes from the standard `PG…` variables.
 */
export function loginOf(
  url: string,
  options: { applicationName: string; connectTimeoutMs: number; statementTimeoutMs?: number },
): Login {
  const { hostname, port, pathname, username, password, searchParams } = new URL(url);
  if (hostname.includes(',')) throw new Error('a database URL names one host');
  const host = searchParams.get('host') ?? decodeURIComponent(hostname).replace(/^\[(.+)\]$/, '$1');
  const mode =
    searchParams.get('sslrootcert') === 'system'
      ? 'verify-full'
      : (searchParams.get('sslmode') ?? searchParams.get('ssl'));
  const portNumber = Number(searchParams.get('port') ?? port);
  return {
    mayGoWithoutTls: mode === 'prefer',
    config: {
      ...present('host', host),
      ...(portNumber === 0 ? {} : { port: portNumber }),
      ...present('user', decodeURIComponent(username)),
      ...present('password', decodeURIComponent(password)),
      ...present('database', decodeURIComponent(pathname.slice(1))),
      ...present('options', sessionOptions(searchParams)),
      ssl: tlsOf(mode),
      ...(searchParams.get('sslnegotiation') === 'direct' ? { sslnegotiation: 'direct' } : {}),
      application_name: searchParams.get('application_name') ?? options.applicationName,
      connectionTimeoutMillis: options.connectTimeoutMs,
      ...(options.statementTimeoutMs !== undefined && { statement_timeout: options.statementTimeoutMs }),
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      types: ROW_TYPES,
    },
  };
}

function present<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  const entry: Partial<Record<K, string>> = {};
  if (value !== '') entry[key] = value;
  return entry;
}

function tlsOf(mode: string | null): NonNullable<ClientConfig['ssl']> {
  if (mode === null || mode === '' || mode === 'disable' || mode === 'false') return false;
  return mode === 'require' || mode === 'allow' || mode === 'prefer' ? { rejectUnauthorized: false } : true;
}

/** Settings such as `statement_timeout=5s`, in the words of the server's command line. */
function sessionOptions(searchParams: URLSearchParams): string {
  const settings = [...searchParams]
    .filter(([name]) => !CLIENT_WORDS.has(name))
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`);
  const options = searchParams.get('options');
  return (options === null ? settings : [options, ...settings]).join(' ');
}
