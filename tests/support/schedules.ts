import { type Client, ScheduleNotFoundError } from '@temporalio/client';
import { SCHEDULE_IDS } from '../../src/contracts/wire/names.ts';

/** Deletes our schedules, so that the next test begins without any; one that is not there is fine. */
export async function deleteSchedules(client: Client): Promise<void> {
  for (const id of Object.values(SCHEDULE_IDS)) {
    try {
      await client.schedule.getHandle(id).delete();
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  }
}
