import type { Queryable } from '../client.ts';

type SymbolFlag = {
  sessionDate: string;
  kind: string;
  severity: 'doubtful' | 'note';
  reason: string;
  availableSession: string;
};

/** Doubts and notes about one symbol's bars as the night of a session knows them, newest first. */
export async function readSymbolFlags(
  sql: Queryable,
  input: { symbol: string; session: string; universeVersion: string; limit: number },
): Promise<SymbolFlag[]> {
  const { symbol, session, universeVersion, limit } = input;
  return await sql<SymbolFlag[]>`
    select session_date, kind, severity, reason, available_session from market.bar_flags
    where symbol = ${symbol} and scope in ('', ${universeVersion}) and session_date <= ${session}
      and available_session <= ${session} and (resolved_session is null or resolved_session > ${session})
    order by session_date desc, kind, scope limit ${limit}`;
}

export type SymbolFeatures = {
  /** In the order of the definitions; NaN: there is none. */
  values: number[];
  definitions: unknown;
  datasetHash: string;
  invalidReason: string | null;
};

/** One symbol's feature values of a session with what they mean; null where none are stored. */
export async function readSymbolFeatures(
  sql: Queryable,
  key: { sessionDate: string; universeVersion: string; featureSetVersion: string; symbol: string },
): Promise<SymbolFeatures | null> {
  const [row] = await sql<SymbolFeatures[]>`
    select f.values, s.definitions, f.dataset_hash, f.invalid_reason
    from turbomode.session_features f join turbomode.feature_sets s using (feature_set_version)
    where f.session_date = ${key.sessionDate} and f.universe_version = ${key.universeVersion}
      and f.feature_set_version = ${key.featureSetVersion} and f.symbol = ${key.symbol}`;
  return row ?? null;
}
