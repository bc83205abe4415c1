const FIRST_MS = 1_000;
const LONGEST_MS = 15_000;
const ANSWER_MS = 10_000;

/**
 * Asks for a page until it is answered otherwise than in an outage; returns the status. The pauses grow, from what
 * has failed before on, and are not those of all others.
 */
export async function untilBack(address: string, failedBefore = 0): Promise<number> {
  for (let failures = failedBefore; ; failures += 1) {
    await pause(Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.75 + Math.random() / 2));
    const status = await statusOf(address);
    if (status !== null && status < 500 && status !== 429) return status;
  }
}

async function statusOf(address: string): Promise<number | null> {
  try {
    return (await fetch(address, { method: 'HEAD', signal: AbortSignal.timeout(ANSWER_MS) })).status;
  } catch {
    return null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
