import type { TaskInput } from '../contracts/activities.ts';
import { type EffectiveConfig, parseEffectiveConfig } from '../contracts/schemas/config.ts';
import type { Queryable } from '../db/client.ts';
import { findConfig } from '../db/queries/configs.ts';
import { failure } from './errors.ts';

/** The frozen configuration of a run. Fails with InvalidConfiguration where it is not stored or not ours. */
export async function readRunConfig(
  sql: Queryable,
  input: Pick<TaskInput, 'configHash'>,
): Promise<EffectiveConfig> {
  const stored = await findConfig(sql, input.configHash);
  if (stored === null) {
    throw failure('InvalidConfiguration', `configuration ${input.configHash} is not stored in ops.configs`);
  }
  return parseEffectiveConfig(stored.body);
}
