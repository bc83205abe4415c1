import { DatabaseError, type PoolClient, type QueryArrayConfig, type QueryArrayResult } from 'pg';
import { ConnectionError, PostgresError, TransactionEnded } from './errors.ts';
import type { Statement } from './statement.ts';

/** What a task gets that has a connection to itself. */
export type Exclusive = {
  client: PoolClient;
  /** Cuts the connection: its state is not known any more. */
  abandon: (error: Error) => void;
};
export type Result = QueryArrayResult<unknown[]>;

/** `extended`: one statement, also where it has no parameter. Not in the types of pg. */
type QuerySettings = QueryArrayConfig & { queryMode?: 'extended' };

/**
 * A connection while it is checked out: one thing at a time in the order of the calls, and nothing after it was lost
 * or given back. A connection is never replaced by another one below a transaction.
 */
export class Connection {
  /** Rejects as soon as the connection is lost. */
  readonly lost: Promise<never>;
  readonly #client: PoolClient;
  readonly #onRelease: () => void;
  #last: Promise<unknown> = Promise.resolve();
  #loss: ConnectionError | null = null;
  #released = false;
  #rejectLost: (error: Error) => void = () => undefined;
  #rejectTask: (error: ConnectionError) => void = () => undefined;
  readonly #onError = (error: Error): void => this.#lose(lossOf(error));

  constructor(client: PoolClient, onRelease: () => void) {
    this.#client = client;
    this.#onRelease = onRelease;
    this.lost = new Promise<never>((_resolve, reject) => {
      this.#rejectLost = reject;
    });
    this.lost.catch(() => undefined);
    client.on('error', this.#onError);
  }

  /**
   * Runs one statement; without `values` the text may hold several, of which all results come back. Under a name it is
   * parsed once on a connection.
   */
  query(
    statement: { text: string; values?: Statement['values'] },
    name?: string,
  ): Promise<Result | Result[]> {
    const settings: QuerySettings = { text: statement.text, rowMode: 'array' };
    if (name !== undefined) settings.name = name;
    if (statement.values !== undefined) {
      settings.values = statement.values;
      settings.queryMode = 'extended';
    }
    return this.exclusive(({ client }) => client.query<unknown[]>(settings));
  }

  /** Runs `task` when everything before it has ended. */
  exclusive<T>(task: (exclusive: Exclusive) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#run(task));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * Cuts the connection; every statement that waits for it is rejected. A transaction is rejected at once with a
   * ConnectionError of ours; after another error, one of its own user, that one has the first word.
   */
  abandon(error: Error): void {
    if (this.#released) return;
    this.#lose(lossOf(error, 'was given up'), error instanceof ConnectionError ? error : null);
    this.#client.connection.stream.destroy();
  }

  /** Back to the pool; out of it when the connection was lost or stands in an open transaction. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    // Behind what was sent already; an error comes before the server's word in which state it left the connection.
    void this.#last.then(() => {
      if (isReady(this.#client) || this.#loss !== null) this.#giveBack();
      else this.#client.once('drain', this.#giveBack).once('end', this.#giveBack);
    });
  }

  readonly #giveBack = (): void => {
    const usable =
      isReady(this.#client) && this.#loss === null && this.#client.getTransactionStatus() === 'I';
    for (const event of ['drain', 'end'] as const) this.#client.off(event, this.#giveBack);
    this.#client.off('error', this.#onError);
    this.#client.release(!usable);
    this.#onRelease();
  };

  #run<T>(task: (exclusive: Exclusive) => Promise<T>): Promise<T> {
    if (this.#loss !== null) {
      const { code, message } = this.#loss;
      return Promise.reject(new ConnectionError(code, `not sent: ${message}`, this.#loss));
    }
    if (this.#released) return Promise.reject(new TransactionEnded('the connection was given back'));
    const abandon = (error: Error): void => this.abandon(error);
    return new Promise<T>((resolve, reject) => {
      this.#rejectTask = reject;
      task({ client: this.#client, abandon }).then(resolve, (error: unknown) => {
        const explained = explainError(error);
        reject(explained);
        // With these words the server leaves; the socket may tell of it later.
        if (explained instanceof PostgresError && /^(FATAL|PANIC)$/.test(explained.severity)) {
          this.#lose(lossOf(explained), explained);
        }
      });
    });
  }

  /** `said`: what whoever waits for the transaction is told at once. */
  #lose(loss: ConnectionError, said: Error | null = loss): void {
    if (this.#loss !== null) return;
    this.#loss = loss;
    this.#rejectTask(loss);
    if (said !== null) this.#rejectLost(said);
  }
}

/** The server has said that it waits for the next statement. Not in the types of pg. */
function isReady(client: PoolClient): boolean {
  return 'readyForQuery' in client && client.readyForQuery === true;
}

function lossOf(error: Error, how = 'was lost'): ConnectionError {
  if (error instanceof ConnectionError) return error;
  return new ConnectionError(
    'CONNECTION_CLOSED',
    `the connection to the database ${how}: ${error.message}`,
    error,
  );
}

/** An error of pg in our words: SQLSTATE, the code of the socket, or one that says that nobody answered. */
export function explainError(error: unknown): unknown {
  if (error instanceof DatabaseError) {
    const explained = new PostgresError(error.message, error);
    if (error.stack !== undefined) explained.stack = error.stack.replace(/^error:/, 'PostgresError:');
    return explained;
  }
  if (!(error instanceof Error) || 'code' in error) return error;
  if (error.message === 'timeout expired') {
    return new ConnectionError('CONNECT_TIMEOUT', 'the database did not answer in time', error);
  }
  // A password that is missing or wrong may end the exchange on this side: the same as the server's refusal.
  if (error.message.startsWith('SASL')) return new PostgresError(error.message, { code: '28P01' });
  // Words of pg for a socket that went away, with or without an error of its own.
  if (/^(Connection terminated|Client (has|was))/.test(error.message)) {
    return new ConnectionError('CONNECTION_CLOSED', error.message, error);
  }
  return error;
}
