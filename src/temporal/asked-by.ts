import type { Trigger } from '../contracts/wire/names.ts';

const STARTERS: Readonly<Record<Trigger, string>> = {
  schedule: 'the schedule',
  watchdog: 'the watchdog',
  backfill: 'a backfill',
  manual: 'hand',
  cli: 'hand',
};

/** Who wanted a night or a run, to stand behind “by”: the person who asked, else what started it. */
export function askedBy({ trigger, requestedBy }: { trigger: Trigger; requestedBy: string | null }): string {
  return requestedBy ?? STARTERS[trigger];
}
