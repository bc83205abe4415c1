import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export type Received = { path: string; headers: IncomingHttpHeaders; body: string };

/** A local HTTP server that keeps what is posted to it, and answers as `answer` says; null: never. */
export class HookReceiver {
  readonly received: Received[] = [];
  answer: (request: Received) => number | null = () => 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const one = {
          path: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        this.received.push(one);
        const status = this.answer(one);
        if (status === null) return;
        response.writeHead(status, { location: 'http://127.0.0.1:1/elsewhere' }).end('thanks');
      });
    });
  }

  static async start(): Promise<HookReceiver> {
    const receiver = new HookReceiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  at(path: string): Received[] {
    return this.received.filter((one) => one.path === path);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Of the local mail server: what a client has to trust. */
export const MAIL_CA_FILE = 'tests/support/tls/loopback.crt';

/** A local mail server that keeps what it gets. */
export class MailReceiver {
  readonly mails: { from: string; to: string[]; secure: boolean; user: string | null; text: string }[] = [];
  readonly #server: SMTPServer;

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      cert: readFileSync(MAIL_CA_FILE),
      key: readFileSync('tests/support/tls/loopback.key'),
      ...options,
      onAuth: ({ username, password }, _session, done) => {
        if (username === 'night' && password === 'shift-secret') done(null, { user: username });
        else done(new Error(`no ${String(username)} with ${String(password)}`));
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope;
          this.mails.push({
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            secure: session.secure,
            user: typeof session.user === 'string' ? session.user : null,
            text: Buffer.concat(chunks).toString(),
          });
          done();
        });
      },
    });
    // A client that does not trust it ends the connection.
    this.#server.on('error', () => undefined);
  }

  static async start(options: SMTPServerOptions = {}): Promise<MailReceiver> {
    const receiver = new MailReceiver(options);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }
}
