import { Hono } from 'hono';
import { z } from 'zod';
import {
  type EffectiveConfig,
  effectiveConfig,
  parseStoredConfigFile,
} from '../../contracts/schemas/config.ts';
import { listApiTokens } from '../../db/queries/api-tokens.ts';
import { CURRENT_FILE, currentConfigHash, findConfig } from '../../db/queries/configs.ts';
import { listAudit } from '../../db/queries/requests.ts';
import { previewBackfill } from '../../api/backfill.ts';
import { Problem } from '../../api/problems.ts';
import { readBackfill } from '../../temporal/backfill.ts';
import { describeSchedules } from '../../temporal/schedules.ts';
import { renderPage } from '../components/layout.tsx';
import type { PageDeps, PageEnv, PageRoute } from '../deps.ts';
import { BackfillPage, type BackfillView } from '../pages/backfill.tsx';
import { AUDIT_ROWS, SettingsPage } from '../pages/settings.tsx';
import type { TonightReader } from '../tonight.ts';

const CALL_MS = 2_500;

/** Configuration in force, schedules, tokens, audit. */
export function settingsRoutes(deps: PageDeps, guard: PageRoute, reader: TonightReader): Hono<PageEnv> {
  const { sql, client } = deps;
  const app = new Hono<PageEnv>();
  app.get('/settings', ...guard, async (c) => {
    const { universe, universes } = await reader.settings();
    const asked = universes.find((name) => name === c.req.query('universe')) ?? universe;
    const [stored, tokens, audit, schedules, backfill] = await Promise.all([
      inForce(sql, asked),
      listApiTokens(sql),
      listAudit(sql, { limit: AUDIT_ROWS }),
      describeSchedules(client, CALL_MS).catch((): null => null),
      readBackfill(client, CALL_MS).catch((): null => null),
    ]);
    const chrome = c.get('chrome');
    const view = { ...stored, universes, tokens, audit, schedules, backfill };
    const body = <SettingsPage view={view} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Settings', at: '/settings', chrome, body }));
  });
  app.get('/settings/backfill', ...guard, async (c) => {
    const { universe, universes } = await reader.settings();
    const query = c.req.query();
    const fields = {
      from: query['from'] ?? '',
      to: query['to'] ?? '',
      universe: query['universe'] ?? universe,
      onlyMissing: query['onlyMissing'] === 'true',
    };
    const view = { universes, fields, ...(await planOf(deps, fields)) };
    const chrome = c.get('chrome');
    const body = <BackfillPage view={view} chrome={chrome} />;
    return c.html(await renderPage({ title: 'Backfill', at: '/settings', chrome, body }));
  });
  return app;
}

/** What a range means, or why it means nothing. */
async function planOf(
  deps: PageDeps,
  fields: BackfillView['fields'],
): Promise<Pick<BackfillView, 'plan' | 'refused'>> {
  const isRange = [fields.from, fields.to].every((date) => z.iso.date().safeParse(date).success);
  if (!isRange) return { plan: null, refused: 'a session is a date like 2018-02-07' };
  try {
    return { plan: await previewBackfill(deps, fields), refused: null };
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== 'invalid-input') throw error;
    return { plan: null, refused: error.message };
  }
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
