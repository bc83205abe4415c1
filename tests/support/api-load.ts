import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { answerChecker } from './api-document.ts';

/** Nothing may hang for longer, beside what it asked to wait for. */
const LONGEST_MS = 10_000;
const PAUSE_MS = 20;
const WAIT_SECONDS = 2;
/** After so long a browser is closed and another one opened: each is told at once. */
const LISTEN_MS = 2_000;
const AWAY = ['database-down', 'temporal-down', 'timed-out'];
const problemSchema = z.object({
  type: z.string().startsWith('urn:nightshift:problem:'),
  detail: z.string(),
});

type Target = {
  url: string;
  token: string;
  /** Paths that are read again and again. */
  reads: readonly string[];
  /** Path of a list that streams, and how many rows it has. */
  stream: { path: string; rows: number };
  /** Path and query of a run that is asked for, each time a new one. */
  run: string;
};

/** What `/readyz` answers. */
const readySchema = z.object({
  checks: z.array(z.object({ part: z.string(), ok: z.boolean(), detail: z.string() })),
});

/** One question, and when it was asked (`performance.now()`). */
type Asked = { method: string; path: string; askedMs: number };

/** A steady load of everything at once on an API of its own process, and whatever was wrong with an answer. */
export class ApiLoad {
  /** Answers that were neither right nor said what is down, one line each. */
  readonly wrong: string[] = [];
  brokenStreams = 0;
  /** A stream has begun and not ended. */
  isStreaming = false;
  #reading: Promise<void> = Promise.resolve();
  #since = 0;
  /** Kinds of problems, and answers that were right by path, of what was asked since `forget`. */
  readonly kinds = new Set<string>();
  /** What `/readyz` has named as missing since then, with its words. */
  readonly missing = new Map<string, string>();
  readonly right = new Map<string, number>();
  readonly #target: Target;
  readonly #check: ReturnType<typeof answerChecker>;
  readonly #cookie: string;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[] = [];

  private constructor(target: Target, check: ReturnType<typeof answerChecker>, cookie: string) {
    this.#target = target;
    this.#check = check;
    this.#cookie = cookie;
  }

  static async start(target: Target): Promise<ApiLoad> {
    const { url, token, reads } = target;
    const headers = { authorization: `Bearer ${token}` };
    const document: unknown = await (await fetch(`${url}/openapi.json`, { headers })).json();
    const login = await fetch(`${url}/login`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: url },
      body: new URLSearchParams({ token, next: '/' }),
    });
    const [cookie = ''] = (login.headers.get('set-cookie') ?? '').split(';');
    const load = new ApiLoad(target, answerChecker(document), cookie);
    const again = (work: () => Promise<void>): void => void load.#loops.push(load.#again(work));
    for (const path of [...reads, '/readyz']) again(() => load.#ask('GET', path));
    again(() => load.#ask('POST', `${target.run}&wait=${WAIT_SECONDS}`));
    again(() => load.#stream());
    again(() => load.#listen());
    return load;
  }

  /** Until the function it gives is called, a stream that has begun is read no further. */
  holdStream(): () => void {
    let goOn: () => void = () => undefined;
    this.#reading = new Promise((resolve) => {
      goOn = resolve;
    });
    return () => goOn();
  }

  forget(): void {
    this.#since = performance.now();
    this.kinds.clear();
    this.missing.clear();
    this.right.clear();
  }

  /** Something has been down since `forget`. */
  get isTroubled(): boolean {
    return this.kinds.size > 0 || this.missing.size > 0;
  }

  /** Whether everything was answered rightly so often since `forget`, and nothing else came in between. */
  isWell(times: number): boolean {
    const { reads, run, stream } = this.#target;
    const paths = [...reads, '/readyz', plainPath(run), streamOf(stream.path), '/live'];
    return !this.isTroubled && paths.every((path) => (this.right.get(path) ?? 0) >= times);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #again(work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await work();
      await sleep(PAUSE_MS);
    }
  }

  async #ask(method: string, path: string): Promise<void> {
    const askedMs = performance.now();
    const answer = await this.#fetch(method, path);
    if (answer !== null) this.#note({ method, path, askedMs }, answer, JSON.parse(await answer.text()));
  }

  async #fetch(method: string, path: string, headers: Record<string, string> = {}): Promise<Response | null> {
    const { url, token } = this.#target;
    const startedMs = performance.now();
    try {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(method === 'POST' && { 'idempotency-key': randomUUID() }),
          ...headers,
        },
      });
      const ms = performance.now() - startedMs - (method === 'POST' ? WAIT_SECONDS * 1000 : 0);
      if (ms > LONGEST_MS) this.wrong.push(`${method} ${path}: took ${Math.round(ms)} ms`);
      return answer;
    } catch (error) {
      this.wrong.push(`${method} ${path}: no answer: ${wordsOf(error)}`);
      return null;
    }
  }

  #note({ method, path, askedMs }: Asked, { status, headers }: Response, body: unknown): void {
    const contentType = headers.get('content-type') ?? '';
    const plain = plainPath(path);
    try {
      this.#check({ method, path, status, contentType, body });
      if (status === 200 || status === 202) this.#count(plain, askedMs);
      // It says what is missing in a form of its own.
      else if (plain === '/readyz' && contentType === 'application/json') this.#noteMissing(body, askedMs);
      else this.#noteProblem(status, body, askedMs);
    } catch (error) {
      this.wrong.push(`${method} ${path} ${status}: ${String(error)}: ${JSON.stringify(body)}`);
    }
  }

  /** What was asked before `forget` says nothing of what came after it, however late it is answered. */
  #count(what: string, askedMs: number): void {
    if (askedMs >= this.#since) this.right.set(what, (this.right.get(what) ?? 0) + 1);
  }

  #noteMissing(body: unknown, askedMs: number): void {
    for (const { part, ok, detail } of readySchema.parse(body).checks)
      if (!ok && askedMs >= this.#since) this.missing.set(part, detail);
  }

  #noteProblem(status: number, body: unknown, askedMs: number): void {
    const kind = problemSchema.parse(body).type.split(':').at(-1) ?? '';
    if (askedMs >= this.#since) this.kinds.add(kind);
    if (status !== 503 || !AWAY.includes(kind)) throw new Error('no word of what is down');
  }

  /** A list as a stream: whole, or broken so that nobody takes a part for the whole. */
  async #stream(): Promise<void> {
    const { path, rows } = this.#target.stream;
    const askedMs = performance.now();
    const answer = await this.#fetch('GET', path, { accept: 'application/x-ndjson' });
    if (answer === null) return;
    if (answer.status !== 200) {
      this.#note({ method: 'GET', path, askedMs }, answer, JSON.parse(await answer.text()));
      return;
    }
    try {
      let lines = 0;
      for await (const part of answer.body ?? []) {
        this.isStreaming = true;
        await this.#reading;
        lines += Buffer.from(part).toString('latin1').split('\n').length - 1;
      }
      if (lines !== rows) this.wrong.push(`${path}: ended after ${lines} of ${rows} rows`);
      this.#count(streamOf(path), askedMs);
    } catch {
      this.brokenStreams += 1;
    } finally {
      this.isStreaming = false;
    }
  }

  /** The board, as a browser follows it: cut off, it asks again. */
  async #listen(): Promise<void> {
    const { url } = this.#target;
    const askedMs = performance.now();
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LISTEN_MS)]);
      const answer = await fetch(`${url}/live`, { headers: { cookie: this.#cookie }, signal });
      if (answer.status !== 200) {
        this.#note({ method: 'GET', path: '/live', askedMs }, answer, JSON.parse(await answer.text()));
        return;
      }
      const decoder = new TextDecoder();
      for await (const part of answer.body ?? []) {
        if (decoder.decode(part, { stream: true }).includes('event: '))
          this.#count('/live', performance.now());
      }
    } catch {
      // Cut off, or listened for long enough.
    }
  }
}

/** `fetch failed` alone says nothing: its cause does. */
function wordsOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error
    ? `${error.message}: ${error.cause.message}`
    : String(error);
}

function plainPath(path: string): string {
  return path.split('?')[0] ?? '';
}

/** What the list at a path is called when it streams. */
function streamOf(path: string): string {
  return `${path} as a stream`;
}
