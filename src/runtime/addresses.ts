import { pathToFileURL } from 'node:url';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { type Role, ROLES, type RolePasswords, roleUrl } from '../db/roles.ts';
import type { DataFolder, Ports } from './data-folder.ts';
import type { Env } from './env.ts';
import { ownerUrl } from './postgres.ts';
import { deriveRolePasswords, type Secrets } from './secrets.ts';
import { TEMPORAL_NAMESPACE } from './temporal.ts';

/** Login URLs: the owner (migrations only) and each role. */
export type DatabaseUrls = Record<Role | 'owner', string>;

export type Addresses = {
  temporal: string;
  namespace: string;
  /** Web UI; null when the cluster is not ours. */
  temporalUi: string | null;
  /** host:port of Postgres. */
  postgres: string;
  artifactUrl: string;
  urls: DatabaseUrls;
  /** Passwords of the roles; null when an administrator manages them. */
  rolePasswords: RolePasswords | null;
  embedded: { postgres: boolean; temporal: boolean; artifacts: boolean };
};

/** Where everything is, for this environment and data folder. Throws when the environment contradicts itself. */
export function resolveAddresses(input: {
  env: Env;
  folder: DataFolder;
  ports: Ports;
  secrets: Secrets;
}): Addresses {
  const { env, folder, ports, secrets } = input;
  const embedded = {
    postgres: env.DATABASE_URL === undefined,
    temporal: env.TEMPORAL_ADDRESS === undefined && env.TEMPORAL_PROFILE === undefined,
    artifacts: env.ARTIFACT_URL === undefined,
  };
  const owner = env.DATABASE_URL ?? ownerUrl({ port: ports.postgres, ownerPassword: secrets.owner });
  const { urls, rolePasswords } = roleLogins({ env, owner, secrets: embedded.postgres ? secrets : null });
  return {
    ...temporalTarget(embedded.temporal ? ports : null),
    temporalUi: embedded.temporal ? `http://127.0.0.1:${ports.temporalUi}` : null,
    postgres: new URL(owner).host,
    artifactUrl: env.ARTIFACT_URL ?? pathToFileURL(folder.artifacts).href,
    urls,
    embedded,
    rolePasswords,
  };
}

/** Our own server, or the cluster of the standard Temporal environment (variables, profile). */
function temporalTarget(ports: Ports | null): { temporal: string; namespace: string } {
  if (ports !== null) return { temporal: `127.0.0.1:${ports.temporal}`, namespace: TEMPORAL_NAMESPACE };
  const { connectionOptions, namespace } = loadClientConnectConfig();
  return {
    temporal: connectionOptions.address ?? 'localhost:7233',
    namespace: namespace ?? TEMPORAL_NAMESPACE,
  };
}

/**
 * Logins of the roles. On an external Postgres either each role has its own variable (and its password is
 * the administrator's business: null), or passwords are made from the owner's login.
 */
function roleLogins(input: { env: Env; owner: string; secrets: Secrets | null }): {
  urls: DatabaseUrls;
  rolePasswords: RolePasswords | null;
} {
  const { env, owner, secrets } = input;
  const given = {
    ingest: env.NIGHTSHIFT_DB_URL_INGEST,
    pipeline: env.NIGHTSHIFT_DB_URL_PIPELINE,
    ml: env.NIGHTSHIFT_DB_URL_ML,
    maintenance: env.NIGHTSHIFT_DB_URL_MAINTENANCE,
    api: env.NIGHTSHIFT_DB_URL_API,
  };
  const named = ROLES.filter((role) => given[role] !== undefined);
  if (secrets === null && named.length > 0) {
    const { ingest, pipeline, ml, maintenance, api } = given;
    if (!ingest || !pipeline || !ml || !maintenance || !api) {
      const missing = ROLES.filter((role) => given[role] === undefined).map((role) => role.toUpperCase());
      throw new Error(
        `environment: NIGHTSHIFT_DB_URL_ is set for some roles, but not for ${missing.join(', ')}`,
      );
    }
    return { urls: { owner, ingest, pipeline, ml, maintenance, api }, rolePasswords: null };
  }
  const rolePasswords: RolePasswords = secrets ?? deriveRolePasswords(owner);
  const login = (role: Role): string => roleUrl({ url: owner, role, password: rolePasswords[role] });
  return {
    urls: {
      owner,
      ingest: login('ingest'),
      pipeline: login('pipeline'),
      ml: login('ml'),
      maintenance: login('maintenance'),
      api: login('api'),
    },
    rolePasswords,
  };
}
