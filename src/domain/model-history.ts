/** One row of the history of a universe's current version, in the order in which nights to come see them. */
export interface PointerDecision {
  readonly version: string;
  readonly kind: 'gate' | 'promote' | 'rollback';
}

/**
 * Versions behind the current one, which is the last: what is left after every rollback took away the decision it
 * undid. Two rollbacks in a row therefore go back two decisions, not to and fro.
 */
export function standingVersions(decisions: readonly PointerDecision[]): string[] {
  const standing: string[] = [];
  for (const { version, kind } of decisions) {
    if (standing.at(-1) === version) continue;
    // The gate decides once about a version: where it names an older one, that one was kept.
    const known = kind === 'promote' ? -1 : standing.lastIndexOf(version);
    if (known >= 0) standing.length = known + 1;
    else if (kind === 'rollback') standing.splice(-1, 1, version);
    else standing.push(version);
  }
  return standing;
}
