import { connect } from 'node:net';

export type Load = { requestsPerSecond: number; p50Ms: number; p99Ms: number; bytes: number };

/** `pathOf`: what each connection asks, by its number from 0. */
type Target = { port: number; pathOf: (connection: number) => string; token?: string };

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Keeps `connections` requests under way for `seconds`, each connection one after the other, and measures from the
 * first byte sent to the last one received. Throws at an answer that is not 200. Plain sockets: an HTTP client would
 * take more of the machine than the servers it measures.
 */
export async function loadOf(
  { port, pathOf, token }: Target,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Load> {
  const latenciesMs: number[] = [];
  let bytes = 0;
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: connections }, (_, connection) =>
      askOnOne({ port, path: pathOf(connection), token }, untilMs, (latencyMs, size) => {
        latenciesMs.push(latencyMs);
        bytes = size;
      }),
    ),
  );
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): number => latenciesMs[Math.ceil(latenciesMs.length * share) - 1] ?? Number.NaN;
  return {
    requestsPerSecond: latenciesMs.length / elapsedSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    bytes,
  };
}

function askOnOne(
  { port, path, token }: { port: number; path: string; token: string | undefined },
  untilMs: number,
  onAnswer: (latencyMs: number, bytes: number) => void,
): Promise<void> {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  ];
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let sentMs = 0;
    let got: Buffer | null = null;
    const send = (): void => {
      sentMs = performance.now();
      socket.write(text);
    };
    socket.once('connect', send);
    socket.on('data', (chunk: Buffer) => {
      got = got === null ? chunk : Buffer.concat([got, chunk]);
      const size = sizeOf(got);
      if (size === null || got.length < size) return;
      const status = got.toString('latin1', 9, 12);
      if (status !== '200') {
        socket.destroy(new Error(`${path}: ${got.toString('utf8')}`));
        return;
      }
      const nowMs = performance.now();
      onAnswer(nowMs - sentMs, size);
      got = null;
      if (nowMs < untilMs) send();
      else socket.end();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/** Bytes of an answer with its head; null while the head is not whole. Throws where it does not say its length. */
function sizeOf(got: Buffer): number | null {
  const end = got.indexOf(HEAD_END);
  if (end < 0) return null;
  const head = got.toString('latin1', 0, end);
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
  if (length === undefined) throw new Error(`an answer without its length:\n${head}`);
  return end + HEAD_END.length + Number(length);
}
