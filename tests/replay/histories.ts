import { readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import proto from '@temporalio/proto';

import type { History } from '../support/rig.ts';

export const HISTORIES = 'tests/replay/histories';
const Message = proto.temporal.api.history.v1.History;

/**
 * A recorded history as text. The SDK's own `historyToJSON` needs one copy of protobufjs for all packages,
 * which npm does not give it here; this form goes both ways with the generated code alone.
 */
export function historyFile(recorded: { workflowId: string; history: History }): string {
  const options = { longs: String, enums: String, bytes: String };
  const history = Message.toObject(Message.fromObject(recorded.history), options);
  return `${JSON.stringify({ workflowId: recorded.workflowId, history }, withoutPlace)}\n`;
}

/** Where and by whom it was recorded decides nothing at replay. */
function withoutPlace(key: string, value: unknown): unknown {
  if (key === 'identity') return 'recorded';
  if (key === 'stackTrace') return '';
  return typeof value === 'string' ? value.replaceAll(`${process.pid}@${hostname()}`, 'recorded') : value;
}

/** The committed histories: of workflows as they were, which the code of today must still understand. */
export async function readHistories(): Promise<{ name: string; workflowId: string; history: History }[]> {
  const names = (await readdir(HISTORIES)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    names.map(async (name) => {
      const file: unknown = JSON.parse(await readFile(join(HISTORIES, name), 'utf8'));
      if (typeof file !== 'object' || file === null || !('workflowId' in file) || !('history' in file)) {
        throw new Error(`${name} is no recorded history`);
      }
      return { name, workflowId: String(file.workflowId), history: Message.fromObject(Object(file.history)) };
    }),
  );
}
