import { databaseErrorCode } from './errors.ts';

/** Texts of statements are those of the code: filters make some hundreds of them at most. */
const MOST_NAMES = 500;
const FEATURE_NOT_SUPPORTED = '0A000';

/** Names of statements by their texts. A connection parses one with a name once, and its server may keep the plan. */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #given = 0;

  /** Undefined: there are too many already. */
  nameOf(text: string): string | undefined {
    return this.#names.get(text) ?? (this.#names.size < MOST_NAMES ? this.renew(text) : undefined);
  }

  /** A name under which no connection knows anything yet. */
  renew(text: string): string {
    this.#given += 1;
    const name = `nightshift_${this.#given}`;
    this.#names.set(text, name);
    return name;
  }
}

/** `cached plan must not change result type`, in whatever language: a migration came in between. */
export function isStale(error: unknown): boolean {
  return databaseErrorCode(error) === FEATURE_NOT_SUPPORTED;
}
