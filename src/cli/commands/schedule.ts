import { Argument, Command } from 'commander';
import { SCHEDULE_IDS } from '../../contracts/wire/names.ts';
import { describeSchedules, type ScheduleSummary, setSchedulePaused } from '../../temporal/schedules.ts';
import { attachApp, withPipelineRole } from '../app.ts';
import { UsageError } from '../exit-codes.ts';

type Act = { by: string; why: string; dataDir?: string };

/** `nightshift schedule pause|unpause [SCHEDULE]`: by a named person with a reason; `status` lists the schedules. */
export function scheduleCommand(): Command {
  const schedule = new Command('schedule').description(
    'pause and unpause the schedules (`status` lists them)',
  );
  const act = (name: string, description: string, paused: boolean) =>
    schedule
      .command(name)
      .description(description)
      .addArgument(
        new Argument('[schedule]', 'which one (default: all there are)').choices(Object.values(SCHEDULE_IDS)),
      )
      .requiredOption('--by <name>', 'who decides')
      .requiredOption('--why <text>', 'the reason, kept in the note and the audit')
      .option('--data-dir <dir>', 'data folder (default .nightshift)')
      .action((scheduleId: string | undefined, options: Act) => setPaused(scheduleId, paused, options));
  act('pause', 'start nothing until it is unpaused; what runs goes on', true);
  act('unpause', 'start at the next time again, also in a copy that `restore` has paused', false);
  return schedule;
}

async function setPaused(
  wanted: string | undefined,
  paused: boolean,
  { by, why, dataDir }: Act,
): Promise<void> {
  const app = await attachApp(dataDir);
  try {
    const { client } = app;
    const chosen = choose(await describeSchedules(client), wanted);
    const word = paused ? 'paused' : 'on';
    for (const { scheduleId, note, paused: isPaused } of chosen) {
      if (isPaused === paused) {
        console.log(`${scheduleId} is ${word} already${note === null ? '' : `: ${note}`}`);
        continue;
      }
      await withPipelineRole(app, ({ sql }) =>
        setSchedulePaused({ client, sql, scheduleId, paused, by, why }),
      );
      console.log(`${scheduleId} is ${word}: ${paused ? 'paused' : 'unpaused'} by ${by}: ${why}`);
    }
  } finally {
    await app.close();
  }
}

function choose(known: readonly ScheduleSummary[], wanted: string | undefined): readonly ScheduleSummary[] {
  const chosen = known.filter(({ scheduleId }) => wanted === undefined || scheduleId === wanted);
  if (chosen.length > 0) return chosen;
  throw new UsageError(
    known.length === 0
      ? 'schedule: none is there yet, `nightshift up` creates them'
      : `schedule: ${wanted ?? ''} is not there, none of its tasks can run; there is ${known[0]?.scheduleId ?? ''}`,
  );
}
