/** A question that takes longer is asked anew: the connection that it went out on may be dead. */
export const LONGEST_MS = 10_000;

/** `forget`: who asks from now on gets an answer that was begun later. */
export type Cached<Value> = (() => Promise<Value>) & { forget: () => void };

/**
 * Answers from the last `maxAgeMs`, asked for once however many want them at the same moment. A failure is not kept:
 * whoever waits for it gets it, and the next one asks again.
 */
export function cached<Value>(maxAgeMs: number, read: () => Promise<Value>): Cached<Value> {
  let answer: { value: Promise<Value>; untilMs: number } | undefined;
  const ask = (): Promise<Value> => {
    if (answer !== undefined && answer.untilMs > Date.now()) return answer.value;
    const value = read();
    const mine = { value, untilMs: Date.now() + LONGEST_MS };
    answer = mine;
    value.then(
      () => {
        mine.untilMs = Date.now() + maxAgeMs;
      },
      () => {
        if (answer === mine) answer = undefined;
      },
    );
    return value;
  };
  const forget = (): void => {
    answer = undefined;
  };
  return Object.assign(ask, { forget });
}
