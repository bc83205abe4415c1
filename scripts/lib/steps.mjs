// A set-up step: prints what it does, how long it takes and, when it fails, what to do.

/** A failure a person can act on: `what` went wrong and `advice`, one line each. */
export class SetupError extends Error {
  constructor(what, advice = []) {
    super(what);
    this.name = 'SetupError';
    this.advice = advice;
  }
}

const say = (line) => process.stderr.write(`${line}\n`);
const secondsSince = (startedAt) => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;

/**
 * Runs `work({ note, signal })` as a named step. Long steps report their elapsed time every 15 s.
 * @param {{ name: string, what: string, abort: AbortController, work: (step: object) => Promise<unknown> }} options
 */
export async function runStep({ name, what, abort, work }) {
  const startedAt = Date.now();
  let doing = what;
  say(`[${name}] ${what}`);
  const timer = setInterval(
    () => say(`[${name}] … ${doing}, ${Math.round((Date.now() - startedAt) / 1000)} s`),
    15_000,
  );
  const note = (text) => {
    doing = text;
    say(`[${name}] ${text}`);
  };
  try {
    const result = await work({ note, signal: abort.signal });
    say(`[${name}] done in ${secondsSince(startedAt)}`);
    return result;
  } catch (error) {
    if (abort.signal.aborted) {
      say(`[${name}] stopped after ${secondsSince(startedAt)}, because ${abort.signal.reason}`);
      throw error;
    }
    say(`[${name}] FAILED after ${secondsSince(startedAt)}: ${error.message}`);
    for (const line of error.advice ?? []) say(`[${name}]   ${line}`);
    abort.abort('another step failed');
    throw Object.assign(error, { printed: true });
  } finally {
    clearInterval(timer);
  }
}
