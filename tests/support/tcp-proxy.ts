import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** A TCP server in front of another one, whose connections can be cut as a network cuts them. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Socket>();
  #port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(target: { host: string; port: number }): Promise<TcpProxy> {
    const server = createServer((client) => {
      const upstream = createConnection(target);
      client.pipe(upstream);
      upstream.pipe(client);
      for (const socket of [client, upstream]) {
        proxy.#pairs.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => proxy.#pairs.delete(socket));
      }
    });
    const proxy = new TcpProxy(server);
    await proxy.listen();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Takes connections, again on the port it had. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    this.#port = address.port;
  }

  /** Sends a reset (RST) on every connection; new ones are taken as before. */
  reset(): void {
    for (const socket of this.#pairs) socket.resetAndDestroy();
  }

  /** Cuts every connection and refuses new ones, as a server does that is down, until `listen`. */
  async close(): Promise<void> {
    this.reset();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
