import type { Client } from '@temporalio/client';
import { readRunFailure } from '../temporal/verbs.ts';
import { UsageError } from './exit-codes.ts';

/** Classes of failures that whoever asked has to put right: exit code 2. */
const ASKED_WRONGLY = ['InvalidInput', 'InvalidConfiguration', 'RunRefused'];

/** What a run that ended without a row of its own ended with, as the error a command ends with. */
export async function lostRunError(
  client: Client,
  run: { workflowId: string; runId?: string },
): Promise<Error> {
  const failure = await readRunFailure(client, run);
  if (failure === null) return new Error(`${run.workflowId} ended and left no row`);
  const { type, message } = failure;
  if (ASKED_WRONGLY.includes(type)) return new UsageError(message);
  return new Error(`${run.workflowId} ended: ${type}: ${message}`);
}
