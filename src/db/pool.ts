import { Client, type ClientConfig, Pool, type PoolClient } from 'pg';
import { Connection, explainError } from './connection.ts';
import { ConnectionError } from './errors.ts';
import type { Login } from './login.ts';

/** Connections are renewed now and then: a server's process grows with what it has cached. */
const LIFETIME_SECONDS = 45 * 60;
/** How long a socket may take to close after the goodbye. */
const GOODBYE_MS = 1000;

/** Clients for pg's pool with settings that are read anew for each, and known until their socket is closed. */
function clientClass(config: ClientConfig, open: Set<Client>): new () => Client {
  return class ManagedClient extends Client {
    constructor() {
      super(config);
      open.add(this);
      // One nobody uses may die too: the pool forgets it, and nothing else has to happen.
      this.on('error', () => undefined);
      // pg leaves the socket open after some errors, such as those of a login that this side breaks off.
      this.connection.on('error', () => this.connection.stream.destroy());
      this.once('end', () => open.delete(this));
    }
  };
}

/** Checks connections out of pg's pool, each for one user at a time. */
export class ConnectionPool {
  readonly #config: ClientConfig;
  readonly #pool: Pool;
  readonly #open = new Set<Client>();
  readonly #held = new Set<Connection>();
  readonly #waiting = new Set<(error: Error) => void>();
  readonly #mayGoWithoutTls: boolean;
  /** Connections asked for and not given back yet. */
  #busy = 0;
  #closing: Promise<void> | null = null;
  #onIdle: () => void = () => undefined;

  constructor(login: Login, settings: { max: number; idleTimeoutMs: number }) {
    this.#config = login.config;
    this.#mayGoWithoutTls = login.mayGoWithoutTls;
    this.#pool = new Pool({
      // The pool's own timeout would also end the waiting for a connection that is in use.
      Client: clientClass(login.config, this.#open),
      max: settings.max,
      idleTimeoutMillis: settings.idleTimeoutMs,
      maxLifetimeSeconds: LIFETIME_SECONDS,
    });
    this.#pool.on('error', () => undefined);
  }

  /** A connection, as soon as one is free. Throws ConnectionError, PostgresError or the error of the socket. */
  async acquire(): Promise<Connection> {
    if (this.#closing !== null) {
      throw new ConnectionError('CONNECTION_ENDED', 'the connections to the database are closed');
    }
    this.#busy += 1;
    try {
      const connection = new Connection(await this.#connect(), () => {
        this.#held.delete(connection);
        this.#givenBack();
      });
      this.#held.add(connection);
      return connection;
    } catch (error) {
      this.#givenBack();
      throw explainError(error);
    }
  }

  /** Waits for what runs, `graceMs` at most, then cuts it off. Resolves when the sockets are closed. */
  async close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    await this.#closing;
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#checkOut();
    } catch (error) {
      const noTls = error instanceof Error && error.message.includes('does not support SSL');
      if (!this.#mayGoWithoutTls || !noTls) throw error;
      this.#config.ssl = false;
      return await this.#checkOut();
    }
  }

  #checkOut(): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const done = (): boolean => this.#waiting.delete(reject);
      this.#pool.connect().then(
        (client) => {
          // Closed in the meantime: whoever asked has been told.
          if (done()) resolve(client);
          else client.release(true);
        },
        (error: unknown) => {
          done();
          reject(error);
        },
      );
    });
  }

  async #close(graceMs: number): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#busy > 0) await within(idle, graceMs);
    const cut = new ConnectionError('CONNECTION_DESTROYED', 'the connections to the database were closed');
    for (const connection of this.#held) connection.abandon(cut);
    for (const reject of this.#waiting) reject(cut);
    this.#waiting.clear();
    // Does not resolve before everything held is given back: that is up to its users.
    void this.#pool.end();
    await within(Promise.all([...this.#open].map(closed)), GOODBYE_MS);
    for (const client of this.#open) client.connection.stream.destroy();
  }

  #givenBack(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#onIdle();
  }
}

function closed(client: Client): Promise<void> {
  return new Promise((resolve) => {
    client.once('end', resolve);
  });
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
