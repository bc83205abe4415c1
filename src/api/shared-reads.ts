import type { Context } from 'hono';
import type { ApiEnv } from './deps.ts';

/**
 * Reads by key that many may want at the same moment: one runs, and all who ask meanwhile share the next one. Nobody
 * gets a read that began before they asked, so what was written before is always in it. A failure is that of all who
 * share it, and the next one reads again.
 */
export function sharedReads<Value>(): (key: string, read: () => Promise<Value>) => Promise<Value> {
  const turns = new Map<string, { running: Promise<Value>; next: Promise<Value> | null }>();
  const begin = (key: string, read: () => Promise<Value>): Promise<Value> => {
    const turn = { running: read(), next: null };
    turns.set(key, turn);
    const end = (): void => {
      if (turn.next === null) turns.delete(key);
    };
    turn.running.then(end, end);
    return turn.running;
  };
  return (key, read) => {
    const turn = turns.get(key);
    if (turn === undefined) return begin(key, read);
    const next = (): Promise<Value> => begin(key, read);
    turn.next ??= turn.running.then(next, next);
    return turn.next;
  };
}

/** A value with its JSON, which is made once for all who get it. */
type Encoded<Value> = { value: Value; bytes: Uint8Array<ArrayBuffer> };

/** The same for whole answers: status 200 with the value as JSON. */
export function sharedAnswers<Value extends object>() {
  const shared = sharedReads<Encoded<Value>>();
  return async (c: Context<ApiEnv>, key: string, read: () => Promise<Value>) => {
    const { value, bytes } = await shared(key, async () => {
      const made = await read();
      return { value: made, bytes: new TextEncoder().encode(JSON.stringify(made)) };
    });
    const answer = c.body(bytes, 200, { 'content-type': 'application/json' });
    // What the type of `c.json` says of its answer.
    return Object.assign(answer, { _data: value, _status: 200 as const, _format: 'json' as const });
  };
}
