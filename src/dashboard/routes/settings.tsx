import { Hono } from 'hono';
import {
  type EffectiveConfig,
  effectiveConfig,
  parseStoredConfigFile,
} from '../../contracts/schemas/config.ts';
import { listApiTokens } from '../../db/queries/api-tokens.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../../db/queries/configs.ts';
import { listAudit } from '../../db/queries/requests.ts';
import { describeSchedules } from '../../temporal/schedules.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { AUDIT_ROWS, SettingsPage } from '../pages/settings.tsx';
import type { TonightReader } from '../tonight.ts';

const CALL_MS = 2_500;

/** Configuration in force, schedules, tokens, audit. */
export function settingsRoutes(deps: PageDeps, guard: PageRoute, reader: TonightReader): Hono<PageEnv> {
  const { sql, client } = deps;
  return new Hono<PageEnv>().get('/settings', ...guard, async (c) => {
    const { universe, universes } = await reader.settings();
    const asked = universes.find((name) => name === c.req.query('universe')) ?? universe;
    const [stored, tokens, audit, schedules] = await Promise.all([
      inForce(sql, asked),
      listApiTokens(sql),
      listAudit(sql, { limit: AUDIT_ROWS }),
      describeSchedules(client, CALL_MS).catch((): null => null),
    ]);
    const chrome = c.get('chrome');
    const body = <SettingsPage view={{ ...stored, universes, tokens, audit, schedules }} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Settings', at: '/settings', chrome, body }));
  });
}

async function inForce(
  sql: PageDeps['sql'],
  universe: string,
): Promise<{ config: EffectiveConfig | null; configHash: string | null }> {
  const configHash = await currentConfigHash(sql, CURRENT_FILE);
  const stored = configHash === null ? null : await findConfig(sql, configHash);
  if (stored === null) return { config: null, configHash: null };
  return { config: effectiveConfig(parseStoredConfigFile(stored.body), universe), configHash };
}
