/** Calls `onDeath` once the process that started this one is gone. Returns what stops the watch. */
export function whenParentDies(parentPid: number | null, onDeath: () => void): () => void {
  if (parentPid === null) return () => undefined;
  const timer = setInterval(() => {
    try {
      process.kill(parentPid, 0);
    } catch {
      clearInterval(timer);
      onDeath();
    }
  }, 500);
  return () => clearInterval(timer);
}
