/**
 * The first SIGINT or SIGTERM asks to stop cleanly; a second SIGINT ends the process at once. The command itself
 * says afterwards what that means for its work.
 */
export function untilInterrupted(): { signal: AbortSignal; promise: Promise<void> } {
  const controller = new AbortController();
  const promise = new Promise<void>((resolve) => {
    const stop = () => {
      if (controller.signal.aborted) process.exit(130);
      console.error('\nStopping cleanly, a few seconds (Ctrl-C again ends at once).');
      controller.abort();
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
  return { signal: controller.signal, promise };
}
