/** What a `jsonb` column can hold. */
export type Json =
  | null
  | string
  | number
  | boolean
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A parameter of a statement. `undefined` is none: it is refused when the statement runs. */
export type Value =
  | null
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | JsonValue
  | readonly Value[];
/** What may stand between the texts of a template. */
export type Inserted = Value | Identifier | Fragment;

/** Text for the server with its parameters, all as text: the server knows the types. */
export type Statement = { text: string; values: (string | null)[] };

/** A value for a `jsonb` column; a JSON null is NULL. */
export class JsonValue {
  readonly value: Json;
  constructor(value: Json) {
    this.value = value;
  }
}

/** One quoted name, or several with commas between. */
export class Identifier {
  readonly text: string;
  constructor(names: string | readonly string[]) {
    this.text = (typeof names === 'string' ? [names] : names).map(quoteName).join(', ');
  }
}

/** A dot separates schema and table, as in `market.bars`. */
function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""').replaceAll('.', '"."')}"`;
}

/** Texts of a template with what stands between them; a part of another one or a statement of its own. */
export class Fragment {
  readonly strings: readonly string[];
  readonly inserted: readonly Inserted[];
  constructor(strings: readonly string[], inserted: readonly Inserted[]) {
    this.strings = strings;
    this.inserted = inserted;
  }
}

/** The statement of a template, parameters numbered through all its parts. Throws TypeError for `undefined`. */
export function buildStatement(fragment: Fragment): Statement {
  const values: (string | null)[] = [];
  return { text: render(fragment, values), values };
}

function render(fragment: Fragment, values: (string | null)[]): string {
  let text = fragment.strings[0] ?? '';
  for (const [index, inserted] of fragment.inserted.entries()) {
    text += renderInserted(inserted, values) + (fragment.strings[index + 1] ?? '');
  }
  return text;
}

function renderInserted(inserted: Inserted, values: (string | null)[]): string {
  if (inserted instanceof Fragment) return render(inserted, values);
  if (inserted instanceof Identifier) return inserted.text;
  values.push(serialize(inserted));
  return `$${values.length}${castOf(inserted)}`;
}

/** Types that the value itself tells; for text and numbers the server goes by the context. */
function castOf(value: Value): string {
  if (typeof value === 'boolean') return '::boolean';
  if (typeof value === 'bigint') return '::bigint';
  if (value instanceof JsonValue) return '::jsonb';
  if (value instanceof Date) return '::timestamptz';
  return value instanceof Uint8Array ? '::bytea' : '';
}

/** A parameter as the server reads it. Throws TypeError for `undefined` and for objects that are no values. */
export function serialize(value: Value | undefined): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return String(value);
  }
  if (value instanceof JsonValue) {
    if (value.value === undefined) throw new TypeError('undefined is not a value for the database');
    return value.value === null ? null : JSON.stringify(value.value);
  }
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (isList(value)) return `{${value.map(serializeElement).join(',')}}`;
  throw new TypeError(`${value === undefined ? 'undefined' : 'an object'} is not a value for the database`);
}

function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

function serializeElement(value: Value | undefined): string {
  const text = serialize(value);
  if (text === null) return 'NULL';
  if (value !== undefined && isList(value)) return text;
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
