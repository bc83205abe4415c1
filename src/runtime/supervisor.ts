import type { GuardedChild, GuardedOptions } from './guardian.ts';
import { startGuarded } from './guardian.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** Pauses before the five restarts of a child that died. */
const BACKOFF_MS = [250, 1000, 2000, 4000, 8000];
/** A child that stayed up this long has its five restarts back. */
const STABLE_MS = 5 * 60_000;

export type SupervisedSpec = {
  name: string;
  /** How to start it; called again for each restart, so it may put things in order first. */
  prepare: () => Promise<Omit<GuardedOptions, 'onLine'>>;
  /** Resolves when the child answers. Called after each start. */
  ready: (signal: AbortSignal) => Promise<void>;
  readyTimeoutMs: number;
  onLine: GuardedOptions['onLine'];
  /** Pauses before restarts instead of ours, for tests. */
  backoffMs?: number[];
};

export type SupervisorEvents = {
  /** One line for a person about start, death and restart. */
  onNote: (name: string, text: string) => void;
  /** Processes changed: whoever keeps the list of children writes it. */
  onChange: () => void;
  /** A child is dead for good. */
  onGivenUp: (name: string, error: Error) => void;
};

/** A child that is started again when it dies, at most five times with growing pauses. */
export class Supervised {
  readonly name: string;
  restarts = 0;
  private readonly spec: SupervisedSpec;
  private readonly events: SupervisorEvents;
  private child: GuardedChild | null = null;
  private stopping = false;
  private readonly stopped = new AbortController();
  private restarting: Promise<void> = Promise.resolve();
  /** The last lines of the child, for the message when it is dead for good. */
  private lines: string[] = [];

  constructor(spec: SupervisedSpec, events: SupervisorEvents) {
    this.name = spec.name;
    this.spec = spec;
    this.events = events;
  }

  /** Identity of the running process, or null between two lives. */
  get identity(): ProcessIdentity | null {
    return this.child?.identity ?? null;
  }

  /** Starts it and waits until it answers. Throws with the last lines it wrote when it does not. */
  async start(): Promise<void> {
    this.lines = [];
    const options = await this.spec.prepare();
    if (this.stopping) return;
    const child = await startGuarded({
      ...options,
      onLine: (line, stream) => {
        this.lines.push(line);
        if (this.lines.length > 20) this.lines.shift();
        this.spec.onLine(line, stream);
      },
    });
    this.child = child;
    this.events.onChange();
    try {
      // A stop that came while it was being started has not seen it.
      this.stopped.signal.throwIfAborted();
      await this.waitUntilReady(child);
    } catch (error) {
      await child.stop();
      this.child = null;
      const text = error instanceof Error ? error.message : String(error);
      throw new Error([`${this.name} did not start: ${text}`, ...this.lines].join('\n  '), { cause: error });
    }
    const since = Date.now();
    void child.exited.then((code) => this.onExit(child, code, Date.now() - since));
  }

  private async waitUntilReady(child: GuardedChild): Promise<void> {
    const limit = AbortSignal.timeout(this.spec.readyTimeoutMs);
    const signal = AbortSignal.any([limit, this.stopped.signal]);
    const died = child.exited.then((code) => {
      throw new Error(`it ended with code ${code}`);
    });
    const late = new Promise<never>((_resolve, reject) => {
      signal.addEventListener(
        'abort',
        () => reject(new Error(`no answer within ${this.spec.readyTimeoutMs / 1000} s`)),
        {
          once: true,
        },
      );
    });
    await Promise.race([this.spec.ready(signal), died, late]);
  }

  private onExit(child: GuardedChild, code: number, upMs: number): void {
    if (this.child === child) this.child = null;
    this.events.onChange();
    if (this.stopping) return;
    if (upMs > STABLE_MS) this.restarts = 0;
    this.restarting = this.restart(code);
  }

  private async restart(firstCode: number): Promise<void> {
    const pauses = this.spec.backoffMs ?? BACKOFF_MS;
    let reason = [`it ended with code ${firstCode}`, ...this.lines].join('\n  ');
    while (!this.stopping) {
      const pauseMs = pauses[this.restarts];
      if (pauseMs === undefined) {
        const text = `${this.name} died ${this.restarts + 1} times; last: ${reason}`;
        this.events.onGivenUp(this.name, new Error(text));
        return;
      }
      this.restarts += 1;
      const [what, ...lastWords] = reason.split('\n');
      const news = `${what}; restart ${this.restarts} of ${pauses.length} in ${pauseMs} ms`;
      this.events.onNote(this.name, [news, ...lastWords].join('\n'));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (this.stopping) return;
      try {
        await this.start();
        this.events.onNote(this.name, `runs again (restart ${this.restarts})`);
        return;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.stopped.abort();
    await this.child?.stop();
    await this.restarting.catch(() => undefined);
    // A restart that was under way may have started it meanwhile.
    await this.child?.stop();
    this.child = null;
    this.events.onChange();
  }
}
