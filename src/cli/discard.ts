import { setTimeout as sleep } from 'node:timers/promises';
import { endNightFor, isRunClosed } from '../temporal/verbs.ts';
import type { App } from './app.ts';
import { UsageError } from './exit-codes.ts';
import type { OpenNight } from './open-nights.ts';
import { actor } from './options.ts';
import { patiently } from './patience.ts';

const POLL_MS = 300;

/**
 * Cancels nights that are open, each with an audit row. Throws UsageError before any when they run in the instance of
 * another command and nobody says in whose name and why.
 */
export async function discardNights(
  { runtime, client, database }: Pick<App, 'runtime' | 'client' | 'database'>,
  options: { nights: readonly OpenNight[]; by: string | undefined; why: string | undefined },
): Promise<void> {
  const { nights, by, why } = options;
  if (!runtime.owned && nights.length > 0 && (by === undefined || why === undefined)) {
    throw new UsageError(
      `--discard: ${nights.map(({ name }) => name).join('; ')} runs in the instance of another command; ` +
        'to cancel it there, say --by NAME and --why TEXT',
    );
  }
  for (const night of nights) {
    console.log(`Cancelling the ${runtime.owned ? 'interrupted' : 'running'} night of ${night.name}.`);
    const act = { by: actor(by), why: why ?? 'nightly --discard' };
    await endNightFor({ client, sql: database.sql, run: night, how: 'cancel', ...act });
    while (!(await patiently(() => isRunClosed(client, night))())) await sleep(POLL_MS);
  }
}
