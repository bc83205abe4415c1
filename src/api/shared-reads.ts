import type { Context } from 'hono';
import { LONGEST_MS } from './cached.ts';
import type { ApiEnv } from './deps.ts';

type Turn<Value> = { running: Promise<Value>; untilMs: number; next: Promise<Value> | null };

/**
 * Reads by key that many may want at the same moment: one runs, and all who ask meanwhile share the next one. Nobody
 * gets a read that began before they asked, so what was written before is always in it. A failure is that of all who
 * share it, and the next one reads again; nobody waits longer for one before theirs than LONGEST_MS.
 */
export function sharedReads<Value>(): (key: string, read: () => Promise<Value>) => Promise<Value> {
  const turns = new Map<string, Turn<Value>>();
  const begin = (key: string, read: () => Promise<Value>): Promise<Value> => {
    const turn: Turn<Value> = { running: read(), untilMs: Date.now() + LONGEST_MS, next: null };
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
    turn.next ??= overOrLate(turn).then(() => begin(key, read));
    return turn.next;
  };
}

/** When a read has ended, or has taken so long that its connection may be dead. */
async function overOrLate({ running, untilMs }: Turn<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, untilMs - Date.now());
  });
  await Promise.race([running, late]).catch(() => undefined);
  clearTimeout(timer);
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
