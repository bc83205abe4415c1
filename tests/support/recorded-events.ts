import { readFileSync } from 'node:fs';
import proto from '@temporalio/proto';

/** Events of a run as a real server recorded them. */
export function recordedEvents(name: string) {
  const url = new URL(`../replay/histories/${name}.json`, import.meta.url);
  const file: { history: object } = JSON.parse(readFileSync(url, 'utf8'));
  return proto.temporal.api.history.v1.History.fromObject(file.history).events;
}
