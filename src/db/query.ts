import type { Exclusive, Result } from './connection.ts';
import { namedRows, type Row } from './rows.ts';
import {
  buildStatement,
  Fragment,
  Identifier,
  type Inserted,
  type Json,
  JsonValue,
  serialize,
  type Statement,
  type Value,
} from './statement.ts';

/** What the rows of a query are said to be. */
type Rows = readonly object[];
/** A statement with its parameters; without them it may be several. */
type Text = { text: string; values?: Statement['values'] };

/** Where statements go: a pool, a transaction or a reserved connection. */
export type Target = {
  query(build: () => Text): Promise<Result | Result[]>;
  exclusive<T>(task: (exclusive: Exclusive) => Promise<T>): Promise<T>;
};

/**
 * A statement that runs when somebody first waits for it (or calls `execute`), once; inside another template it is
 * a part of that one and never runs.
 */
export class Query<T> extends Fragment implements Promise<T> {
  readonly [Symbol.toStringTag] = 'Query';
  readonly #run: (query: Query<T>) => Promise<T>;
  #result: Promise<T> | null = null;

  constructor(
    template: { strings: readonly string[]; inserted: readonly Inserted[] },
    run: (query: Query<T>) => Promise<T>,
  ) {
    super(template.strings, template.inserted);
    this.#run = run;
  }

  /** Runs the statement now, also if nobody waits for it: an error is then nobody's. */
  execute(): this {
    this.#start().catch(() => undefined);
    return this;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a statement is awaited like the promise it stands for
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#start().then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#start().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.#start().finally(onFinally);
  }

  #start(): Promise<T> {
    this.#result ??= this.#run(this);
    return this.#result;
  }
}

/** What a query function needs: it runs alone or inside somebody's transaction. */
export type Queryable = {
  /** A statement with its values as parameters; rows are as the type says, columns in camelCase. */
  <T extends Rows = Row[]>(strings: TemplateStringsArray, ...inserted: Inserted[]): Query<T>;
  /** Quoted names. */
  (names: string | readonly string[]): Identifier;
  /** A trusted text with parameters `$1`, …; without them it may hold several statements: a list of rows of each. */
  unsafe<T extends Rows = Row[]>(text: string, values?: readonly Value[]): Query<T>;
  /** A value for a `jsonb` column. */
  json(value: Json): JsonValue;
  /** Lends the connection itself, for COPY. */
  exclusive<T>(task: (exclusive: Exclusive) => Promise<T>): Promise<T>;
};

/** The tag for templates and what goes with it. */
export function queryableOn(target: Target): Queryable {
  // The rows of a query are what its author says: nobody else knows.
  const ask = async <T>(build: () => Text): Promise<T> => rowsOf(await target.query(build)) as T;
  function tag<T extends Rows = Row[]>(strings: TemplateStringsArray, ...inserted: Inserted[]): Query<T>;
  function tag(names: string | readonly string[]): Identifier;
  function tag(
    first: TemplateStringsArray | string | readonly string[],
    ...inserted: Inserted[]
  ): Query<Row[]> | Identifier {
    if (typeof first === 'string' || !('raw' in first)) return new Identifier(first);
    return new Query<Row[]>({ strings: first, inserted }, (query) => ask(() => buildStatement(query)));
  }
  return Object.assign(tag, {
    unsafe: <T extends Rows = Row[]>(text: string, values: readonly Value[] = []): Query<T> =>
      new Query<T>({ strings: [text], inserted: [] }, () =>
        ask(() => (values.length === 0 ? { text } : { text, values: values.map(serialize) })),
      ),
    json: (value: Json): JsonValue => new JsonValue(value),
    exclusive: <T>(task: (exclusive: Exclusive) => Promise<T>): Promise<T> => target.exclusive(task),
  });
}

function rowsOf(result: Result | Result[]): Row[] | Row[][] {
  return Array.isArray(result) ? result.map(namedRows) : namedRows(result);
}
