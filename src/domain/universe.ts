import { createHash } from 'node:crypto';
import type { SessionDate } from './bars.ts';
import type { Survivorship } from './market-data.ts';

/** A list of symbols with a name. Bundled ones are in data/sample/universes, others come from a file. */
export interface UniverseDefinition {
  readonly name: string;
  readonly description: string;
  readonly survivorship: Survivorship;
  /** Sorted, each once. */
  readonly symbols: readonly string[];
}

/** A universe that cannot be used. `problems` are sentences for people, all of them at once. */
export class UniverseError extends Error {
  override readonly name = 'UniverseError';
  readonly source: string;
  readonly problems: readonly string[];

  constructor(source: string, problems: readonly string[]) {
    super(`universe ${source}: ${problems.join('; ')}`);
    this.source = source;
    this.problems = problems;
  }
}

export const MAX_UNIVERSE_SYMBOLS = 10_000;
const SYMBOL_PATTERN = /^[A-Z][A-Z0-9]{0,5}([.-][A-Z]{1,2})?$/;
const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const KNOWN_KEYS = ['schemaVersion', 'name', 'description', 'survivorship', 'symbols'];

interface ParseInput {
  readonly text: string;
  /** File name or path, for messages and for the default name. */
  readonly source: string;
}

/**
 * Reads a universe file: JSON (an object like the bundled ones, or just an array of symbols) or
 * plain text (symbols separated by blanks, commas or line ends; `#` starts a comment).
 * Throws UniverseError that lists every problem.
 */
export function parseUniverse({ text, source }: ParseInput): UniverseDefinition {
  const trimmed = text.trim();
  if (trimmed === '') throw new UniverseError(source, ['the file is empty']);
  if (trimmed.startsWith('{') || trimmed.startsWith('[')) return parseJson(trimmed, source);
  const entries = trimmed.split('\n').flatMap((line, index) =>
    (line.split('#')[0] ?? '')
      .split(/[\s,;]+/)
      .filter((word) => word !== '')
      .map((symbol) => ({ symbol, place: `line ${index + 1}` })),
  );
  return finish({ source, problems: [], entries, fields: {} });
}

function parseJson(text: string, source: string): UniverseDefinition {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new UniverseError(source, [`not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const fields: Record<string, unknown> = isRecord(content) ? content : {};
  const list = Array.isArray(content) ? content : fields['symbols'];
  const problems = Object.keys(fields)
    .filter((key) => !KNOWN_KEYS.includes(key))
    .map(refusalOf);
  if (!Array.isArray(list))
    throw new UniverseError(source, [...problems, '"symbols" must be a list of symbols']);
  const entries: { symbol: string; place: string }[] = [];
  for (const [index, symbol] of list.entries()) {
    if (typeof symbol === 'string') entries.push({ symbol, place: `symbols[${index}]` });
    else problems.push(`symbols[${index}] is not a string`);
  }
  return finish({ source, problems, entries, fields });
}

function refusalOf(key: string): string {
  // Files had it once; how far back a night looks is frozen with its configuration.
  return key === 'maxSessions'
    ? '"maxSessions" is no part of a universe: set historySessions for it in the configuration (nightshift.universes)'
    : `unknown key "${key}" (known: ${KNOWN_KEYS.join(', ')})`;
}

function finish(input: {
  readonly source: string;
  readonly problems: readonly string[];
  readonly entries: readonly { readonly symbol: string; readonly place: string }[];
  readonly fields: Readonly<Record<string, unknown>>;
}): UniverseDefinition {
  const { source, entries, fields } = input;
  const problems = [...input.problems];
  const places = new Map<string, string>();
  for (const { symbol, place } of entries) {
    const before = places.get(symbol);
    if (!SYMBOL_PATTERN.test(symbol)) {
      const hint = SYMBOL_PATTERN.test(symbol.toUpperCase())
        ? ` (did you mean ${symbol.toUpperCase()}?)`
        : '';
      problems.push(`${place}: ${JSON.stringify(symbol)} is not a symbol${hint}`);
    } else if (before !== undefined) problems.push(`${place}: ${symbol} is there already (${before})`);
    places.set(symbol, before ?? place);
  }
  if (entries.length === 0) problems.push('there are no symbols in it');
  if (entries.length > MAX_UNIVERSE_SYMBOLS) {
    problems.push(`${entries.length} symbols, at most ${MAX_UNIVERSE_SYMBOLS} are supported`);
  }
  const { name = defaultName(source), description = '', schemaVersion = 1 } = fields;
  const survivorship = fields['survivorship'] ?? 'unknown';
  if (schemaVersion !== 1) problems.push(`schemaVersion ${JSON.stringify(schemaVersion)} is not 1`);
  if (typeof name !== 'string' || !NAME_PATTERN.test(name)) {
    problems.push(`name ${JSON.stringify(name)} must be letters, digits, - and _ (at most 64)`);
  }
  if (typeof description !== 'string') problems.push('description must be text');
  if (!isSurvivorship(survivorship)) problems.push('survivorship must be biased, unbiased or unknown');
  if (problems.length > 0) throw new UniverseError(source, problems);
  return {
    name: String(name),
    description: String(description),
    survivorship: isSurvivorship(survivorship) ? survivorship : 'unknown',
    symbols: [...places.keys()].sort(),
  };
}

/** Throws UniverseError that names every symbol the source does not list, with the nearest it does. */
export function checkSymbolsKnown(input: {
  readonly source: string;
  readonly symbols: readonly string[];
  readonly known: readonly string[];
}): void {
  const known = new Set(input.known);
  const problems = input.symbols
    .filter((symbol) => !known.has(symbol))
    .map((symbol) => {
      const other = symbol.replace('-', '.');
      return `${symbol} is not in the data${known.has(other) ? ` (did you mean ${other}?)` : ''}`;
    });
  if (problems.length > 0) throw new UniverseError(input.source, problems);
}

/** Members that were listed by a session: a symbol belongs from its first session on. */
export function membersAsOf(input: {
  readonly symbols: readonly string[];
  /** First session of each symbol; a symbol that is not there is no member. */
  readonly firstSessions: ReadonlyMap<string, SessionDate>;
  readonly session: SessionDate;
}): readonly string[] {
  return input.symbols.filter((symbol) => {
    const first = input.firstSessions.get(symbol);
    return first !== undefined && first <= input.session;
  });
}

/** sha256 of the sorted member list: the key of everything derived from these members. */
export function universeVersionOf(symbols: readonly string[]): string {
  return createHash('sha256')
    .update([...new Set(symbols)].sort().join('\n'))
    .digest('hex');
}

function defaultName(source: string): string {
  const file = source.split(/[\\/]/).at(-1) ?? source;
  return file.replace(/\.[^.]*$/, '').replaceAll(/[^A-Za-z0-9_-]/g, '-');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSurvivorship(value: unknown): value is Survivorship {
  return value === 'biased' || value === 'unbiased' || value === 'unknown';
}
