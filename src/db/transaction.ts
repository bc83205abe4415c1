import type { Connection, Result } from './connection.ts';
import { PostgresError, TransactionEnded } from './errors.ts';
import { type Queryable, queryableOn } from './query.ts';

/** An open transaction: every statement of it goes to the one connection it has for its whole life. */
export type Tx = Queryable & {
  /** Runs `work` so that its failure undoes only its own statements; the transaction goes on. */
  savepoint<T>(work: (tx: Tx) => T): Promise<Awaited<T>>;
};

/** What a statement says that a failed transaction refuses. */
const ABORTED = '25P02';

/**
 * Runs `work` in a transaction on `connection` and commits it. Any failed statement undoes it, also one whose error
 * was caught; a lost connection ends it at once, whatever `work` waits for. `options`: as behind BEGIN.
 */
export async function transact<T>(
  connection: Connection,
  options: string,
  work: (tx: Tx) => T,
): Promise<Awaited<T>> {
  await connection.query({ text: `begin ${options.replaceAll(/[^a-z ]/gi, '')}` });
  const scope = new Scope(connection, null);
  const running = scope.run(work, { keep: 'commit', undo: 'rollback' });
  return await Promise.race([running, connection.lost]);
}

/** A transaction, or a part of one between a savepoint and its end. */
class Scope {
  readonly #connection: Connection;
  readonly #parent: Scope | null;
  readonly #depth: number;
  #savepoints = 0;
  #ended = false;
  /** Error of the first statement that failed. */
  #failure: { error: unknown } | null = null;

  constructor(connection: Connection, parent: Scope | null) {
    this.#connection = connection;
    this.#parent = parent;
    this.#depth = parent === null ? 0 : parent.#depth + 1;
  }

  #parentHasEnded(): boolean {
    return this.#parent !== null && this.#parent.#hasEnded();
  }

  /** Also when what it is a part of has ended: nothing of it may be sent behind that. */
  #hasEnded(): boolean {
    return this.#ended || this.#parentHasEnded();
  }

  async run<T>(work: (tx: Tx) => T, ends: { keep: string; undo: string }): Promise<Awaited<T>> {
    try {
      const result = await work(this.#tx());
      this.#ended = true;
      if (this.#failure !== null) throw this.#failure.error;
      await this.#keep(ends.keep);
      return result;
    } catch (error) {
      this.#ended = true;
      await this.#undo(ends.undo);
      const cause = this.#failure?.error ?? error;
      throw error instanceof PostgresError && error.code === ABORTED ? cause : error;
    }
  }

  /** Statements that nobody waited for come first; if one of them fails, nothing is kept. */
  async #keep(statement: string): Promise<void> {
    if (this.#parentHasEnded()) throw new TransactionEnded('the transaction ended before this part');
    const result = await this.#connection.query({ text: statement });
    if (commandOf(result) !== 'ROLLBACK') return;
    throw this.#failure?.error ?? new TransactionEnded('the server has undone the transaction');
  }

  async #undo(statement: string): Promise<void> {
    if (this.#parentHasEnded()) return;
    try {
      await this.#connection.query({ text: statement });
    } catch (error) {
      // Whatever is open there ends with its connection, which nobody gets again.
      this.#connection.abandon(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #tx(): Tx {
    const queryable = queryableOn({
      query: (build) => this.#within(async () => await this.#connection.query(build())),
      exclusive: (task) => this.#within(() => this.#connection.exclusive(task)),
    });
    return Object.assign(queryable, { savepoint: <T>(work: (tx: Tx) => T) => this.#savepoint(work) });
  }

  async #savepoint<T>(work: (tx: Tx) => T): Promise<Awaited<T>> {
    this.#savepoints += 1;
    const name = `s${this.#depth}_${this.#savepoints}`;
    await this.#within(() => this.#connection.query({ text: `savepoint ${name}` }));
    const inner = new Scope(this.#connection, this);
    return await inner.run(work, {
      keep: `release savepoint ${name}`,
      undo: `rollback to savepoint ${name}`,
    });
  }

  async #within<T>(statement: () => Promise<T>): Promise<T> {
    if (this.#hasEnded())
      throw new TransactionEnded('the transaction has ended: this statement was not sent');
    try {
      return await statement();
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }
}

function commandOf(result: Result | Result[]): string | undefined {
  return Array.isArray(result) ? result.at(-1)?.command : result.command;
}
