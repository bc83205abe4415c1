import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseUniverse, type UniverseDefinition, UniverseError } from '../domain/universe.ts';

export const BUNDLED_UNIVERSES = ['tiny', 'sample', 'sp500'] as const;
export type BundledUniverse = (typeof BUNDLED_UNIVERSES)[number];

/** The bundled universes, relative to the project root. */
export const UNIVERSES_FOLDER = 'data/sample/universes';

export function isBundledUniverse(name: string): name is BundledUniverse {
  return BUNDLED_UNIVERSES.some((bundled) => bundled === name);
}

/**
 * A universe by name, or from a JSON or text file. Throws UniverseError in words for people.
 * Whether the symbols exist is the provider's knowledge: see `checkSymbolsKnown`.
 */
export async function readUniverse(input: {
  readonly nameOrFile: string;
  /** Folder of the bundled universe files. */
  readonly bundledFolder: string;
}): Promise<UniverseDefinition> {
  const { nameOrFile, bundledFolder } = input;
  const bundled = isBundledUniverse(nameOrFile);
  const path = bundled ? join(bundledFolder, `${nameOrFile}.json`) : nameOrFile;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UniverseError(nameOrFile, [
      `cannot read ${path} (${reason}); a universe is ${BUNDLED_UNIVERSES.join(', ')} or a file`,
    ]);
  }
  const universe = parseUniverse({ text, source: nameOrFile });
  if (!bundled && isBundledUniverse(universe.name)) {
    // Rows are keyed by member hash, but people read names: two things must not share one.
    throw new UniverseError(nameOrFile, [`the name "${universe.name}" belongs to a bundled universe`]);
  }
  return universe;
}
