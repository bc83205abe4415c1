import { Command } from 'commander';
import { listNights } from '../../db/queries/nights.ts';
import { readSymbolSignal } from '../../db/queries/predictions.ts';
import { readingOf } from '../../db/queries/report.ts';
import { attachApp } from '../app.ts';
import { UsageError } from '../exit-codes.ts';
import { requireDate } from '../options.ts';
import { formatNumber, formatTable } from '../render/format.ts';

/** `nightshift explain SYMBOL --session S`: what the models said, why, from which data and version. */
export function explainCommand(): Command {
  return new Command('explain')
    .description("one symbol's signal of a session, with its reasons and where they come from")
    .argument('<symbol>')
    .requiredOption('--session <date>', 'session whose night made the signal')
    .option('--universe <name>', 'universe (default: that of the newest night of the session)')
    .option('--data-dir <dir>', 'data folder (default .nightshift)')
    .action(async (symbol: string, options: { session: string; universe?: string; dataDir?: string }) => {
      requireDate('--session', options.session);
      const app = await attachApp(options.dataDir);
      try {
        const { sql } = app.database;
        const [night] = await listNights(sql, { sessionDate: options.session, limit: 1 });
        const universe = options.universe ?? night?.universe;
        if (universe === undefined)
          throw new UsageError(
            `--session: no night of ${options.session} has run here (\`nightshift status\` lists the nights)`,
          );
        const key = { sessionDate: options.session, universe, symbol: symbol.toUpperCase() };
        const signal = await readSymbolSignal(sql, key);
        if (signal === null) {
          throw new UsageError(
            `symbol: ${key.symbol} has no signal of ${options.session} in ${universe}: ` +
              'it is no member of that universe, or the scan of that night did not succeed',
          );
        }
        const reading = readingOf(signal);
        const side = reading === signal.side ? '' : ` (${signal.side})`;
        console.log(`${key.symbol}, session ${options.session}, universe ${universe}: ${reading}${side}`);
        console.log(
          `  probability ${formatNumber(signal.probability)}, base rate ${formatNumber(signal.baseRate)}, ` +
            `rank ${signal.rank ?? '–'}, confidence ${formatNumber(signal.confidence, 2)}`,
        );
        console.log(`  ${signal.reasonWords}`);
        const rows = contributions(signal.reasons).map(({ feature, value, contribution }) => [
          `  ${feature}`,
          formatNumber(value),
          formatNumber(contribution),
        ]);
        if (rows.length > 0)
          console.log(formatTable([['  feature', 'value', 'log-odds'], ...rows], [1, 2]).join('\n'));
        else console.log('  contributions of features are computed for issued signals only');
        console.log(
          `  model ${signal.modelVersion}, features ${signal.featureSetVersion.slice(0, 12)}, data up to ${signal.dataCutoff}`,
        );
      } finally {
        await app.close();
      }
    });
}

type Contribution = { feature: string; value: number | null; contribution: number };

function contributions(reasons: unknown): Contribution[] {
  if (!Array.isArray(reasons)) return [];
  return reasons.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { feature, value, contribution } = entry as Record<string, unknown>;
    if (typeof feature !== 'string' || typeof contribution !== 'number') return [];
    return [{ feature, value: typeof value === 'number' ? value : null, contribution }];
  });
}
